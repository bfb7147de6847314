import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { runSteps, SetupError, type Step } from "#setup/steps";
import { root } from "#paths";

const driver = `${root}test/setup/driver.mjs`;

interface Run {
  readonly child: ChildProcess;
  readonly stderr: { text: string };
  /** What it printed and how it ended. */
  readonly end: Promise<{ out: string; code: number | null }>;
}

function start(folder: string): Run {
  const child = spawn(process.execPath, [driver, folder], { stdio: ["ignore", "pipe", "pipe"], env: { PATH: process.env["PATH"] } });
  const stderr = { text: "" };
  child.stderr.on("data", (chunk: Buffer) => { stderr.text += chunk.toString(); });
  // Not "close": a program that outlives a killed set-up keeps its stderr open.
  const end = Promise.all([text(child.stdout), once(child, "exit")]).then(([out]) => ({ out, code: child.exitCode }));
  return { child, stderr, end };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(10);
}

const log = (folder: string) => (existsSync(join(folder, "log")) ? readFileSync(join(folder, "log"), "utf8").trim().split("\n") : []);
const go = (folder: string) => { writeFileSync(join(folder, "go"), ""); };

void t.test("runs what is needed, then nothing, and then takes no lock", async (t) => {
  const folder = t.testdir({ go: "" });
  t.strictSame(await start(folder).end, { out: '["first","second"]', code: 0 });
  rmSync(join(folder, "lock"));
  t.strictSame(await start(folder).end, { out: "[]", code: 0 });
  t.notOk(existsSync(join(folder, "lock")));
  rmSync(join(folder, "second"));
  t.strictSame(await start(folder).end, { out: '["second"]', code: 0 });
});

void t.test("two at once: the second waits, finds all done, and both succeed", async (t) => {
  const folder = t.testdir();
  const one = start(folder);
  await until(() => log(folder).length === 1);
  const two = start(folder);
  await until(() => two.stderr.text.includes("waiting for another set-up"));
  go(folder);
  t.strictSame(await one.end, { out: '["first","second"]', code: 0 });
  t.strictSame(await two.end, { out: "[]", code: 0 });
  t.strictSame(log(folder), ["begin", "end", "begin", "end"]);
});

void t.test("killed in the middle: the next one waits for what still runs, then repairs", async (t) => {
  const folder = t.testdir();
  const one = start(folder);
  await until(() => log(folder).length === 1);
  one.child.kill("SIGKILL");
  t.strictSame(await one.end, { out: "", code: null });
  const two = start(folder);
  await until(() => two.stderr.text.includes("waiting for another set-up"));
  t.strictSame(log(folder), ["begin"], "the orphaned program still has the lock");
  go(folder);
  t.strictSame(await two.end, { out: '["first","second"]', code: 0 });
  t.strictSame(log(folder), ["begin", "end", "begin", "end", "begin", "end"], "never two at a time");
});

void t.test("a step that fails ends the set-up with its command in words", (t) => {
  const folder = t.testdir();
  const never: Step = { name: "never", needed: () => true, run: () => { t.fail("ran after a failure"); } };
  const fails = (file: string, args: string[]): Step => ({ name: "fails", needed: () => true, run: (command) => { command(file, args); } });
  const attempt = (step: Step) => () => runSteps([step, never], join(folder, "lock"), () => undefined);
  t.throws(attempt(fails("sh", ["-c", "exit 3"])), new SetupError("sh -c exit 3 ended with exit 3"));
  t.throws(attempt(fails("sh", ["-c", "kill -9 $$"])), { message: "sh -c kill -9 $$ ended with SIGKILL", exitCode: 1 });
  t.throws(attempt(fails("no-such-program", [])), { message: /cannot start no-such-program/, exitCode: 69 });
  t.end();
});

import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import t, { type Test } from "tap";
import { root } from "#paths";
import { leftIn } from "../../support/doc-commands.ts";
import "../../support/plain-children.ts";

/** A program of ours as a user runs it; what it leaves in its temporary folder is looked at after. */
function start(t: Test, folder: string, entry: string, args: readonly string[]) {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => name !== "NODE_OPTIONS"));
  const child = spawn(process.execPath, [`${root}dist/provisioning/${entry}`, ...args], { cwd: folder, env: { ...env, TMPDIR: folder }, stdio: ["pipe", "pipe", "pipe"] });
  t.teardown(() => child.kill("SIGKILL"));
  const lines: string[] = [];
  const said = { out: "" };
  let heard: () => void = () => undefined;
  child.stdout.setEncoding("utf8").on("data", (text: string) => { said.out += text; });
  createInterface({ input: child.stderr }).on("line", (line) => { lines.push(line); heard(); });
  const ended = new Promise<number | null>((resolve) => { child.once("close", (code) => { resolve(code); heard(); }); });
  /** The first line on stderr from number `from` on that matches. */
  const line = async (pattern: RegExp, from = 0): Promise<string> => {
    for (;;) {
      const found = lines.slice(from).find((one) => pattern.test(one));
      if (found !== undefined) return found;
      if (child.exitCode !== null) throw new Error(`no ${String(pattern)} in: ${lines.join("\n")}`);
      await new Promise<void>((resolve) => { heard = resolve; });
    }
  };
  return { child, said, lines, line, ended, type: (text: string) => { child.stdin.write(`${text}\n`); } };
}

const demo = (t: Test, folder: string, ...args: string[]): ReturnType<typeof start> => start(t, folder, "demo/main.js", args);

function temporary(t: Test, name = "demo-"): string {
  const folder = mkdtempSync(join(tmpdir(), name));
  t.teardown(() => { rmSync(folder, { recursive: true, force: true }); });
  return folder;
}

void t.test("the story, and then nothing is left", async (t) => {
  const folder = temporary(t);
  const { said, ended, lines } = demo(t, folder);
  t.equal(await ended, 0, lines.join("\n"));
  const story: readonly RegExp[] = [
    /real are PKCS#11 .* EMULATED are the five sensors/,
    /one coordinator, 5 boxes/, /enrolled/, /the key is born, 3 of 5/, /nobody has the key/,
    /README\.md sealed/, /opened with two officers' fingers/, /code \d{4}; so did both consoles: admin asks to unwrap payroll\/2026\/march .* code \d{4}/,
    /5 HSMs challenged, shards of box-\d, box-\d, box-\d combined in enclave process \d+, which has wiped itself and is gone/, /SHA-256 .* identical/,
    /a stranger's finger/, /refused: INVALID_BIOMETRICS/,
    /a thief takes box-2: found out/, /the key opens with the new shards/, /box-2 is found again/, / 0 copies \(in a process that was given it: [1-9]/,
    /the coordinator taken over/, /without evidence: five of five holders refuse, NOT_PERMITTED/, /replays evidence .* five of five refuse, EVIDENCE_INVALID/, /^Next: npm run demo/,
  ];
  const told = said.out.trimEnd().split("\n");
  t.ok(told.length <= 24, "about a screen");
  let at = 0;
  for (const pattern of story) {
    const found = told.findIndex((one, i) => i >= at && pattern.test(one));
    t.ok(found >= at, `${String(pattern)} in its place`);
    if (found >= at) at = found + 1;
  }
  t.same(await leftIn(folder), [], "no process");
  t.same(readdirSync(folder), [], "no file");
});

void t.test("--interactive: from a pipe sensors are touched, boxes killed and revived", async (t) => {
  const folder = temporary(t);
  const { child, line, ended, type, lines } = demo(t, folder, "--interactive");
  const client = (await line(/shardkeep --client \S+/)).replace(/.*--client (\S+).*/, "$1");
  const say = async (text: string, answer: RegExp): Promise<string> => {
    const from = lines.length;
    type(text);
    return await line(answer, from);
  };
  t.match(await say("status", /^key /), "key payroll: 3 of 5, 5 there");
  await say("kill box-5", /^box-5 is dead/);
  writeFileSync(join(folder, "plain"), "hello");
  const encrypting = start(t, folder, "main.js", ["use", "encrypt", "--client", client, "--key", "payroll", "--resource", "payroll/x", "--reason", "test", "--in", "plain", "--out", "sealed"]);
  await encrypting.line(/^waiting for officer at any sensor … 0 of 1, code \d{4}/);
  // What lies on the sensor when the prompt comes does not count: a person would touch again.
  while (encrypting.child.exitCode === null) {
    await say("touch box-1 alice-index", /^alice-index at box-1/);
    await Promise.race([encrypting.ended, setTimeout(4000)]);
  }
  t.equal(await encrypting.ended, 0, `four holders serve, a touch from the pipe approves: ${encrypting.lines.join("\n")}`);
  t.ok(existsSync(join(folder, "sealed")));
  await say("revive box-5", /^box-5 is back/);
  t.match(await say("revive box-5", /^box-5 is/), "box-5 is running");
  t.match(await say("touch box-9 alice-index", /^commands/), "commands");
  child.stdin.end();
  t.equal(await ended, 0, "the pipe's end ends the site");
  t.same(await leftIn(folder), []);
});

void t.test("a site that does not get built: one line of JSON all the same, naming the step", async (t) => {
  // The sensors' sockets do not fit into a Unix socket's address.
  const folder = join(temporary(t), "x".repeat(100));
  mkdirSync(folder);
  const { said, ended } = demo(t, folder, "--scenario", "use", "--json", "--setup-ran", "packages,build");
  t.equal(await ended, 1);
  t.equal(said.out.trimEnd().split("\n").length, 1);
  const report = JSON.parse(said.out) as { setup: unknown };
  t.match(report, { ok: false, scenarios: [{ name: "use", ok: false, expected: null, error: "DEMO_PROCESS_FAILED", failed: /^tokens, keys, certificates/ }] });
  t.strictSame(report.setup, { ran: ["packages", "build"] }, "and what set-up had done before");
});

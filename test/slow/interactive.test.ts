import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import t from "tap";
import { demo, start, temporary } from "../provisioning/demo/running.ts";
import { leftIn } from "../support/doc-commands.ts";

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

import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { leftIn } from "../../support/doc-commands.ts";
import { demo, temporary } from "./running.ts";

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

import t from "tap";
import { tally } from "#test/tally";

async function count(text: string) {
  const lines: string[] = [];
  async function* bytes() { await Promise.resolve(); yield* text; }
  return { ...(await tally(bytes(), (line) => lines.push(line))), lines };
}

void t.test("leaves are counted, whatever they are nested in", async (t) => {
  const { passed, failed, skipped, lines } = await count(`TAP version 14
# Subtest: test/a.test.ts
    # Subtest: deep
        ok 1 - one
        ok 2 - two
        1..2
    ok 1 - deep # time=1.5ms
    ok 2 - three
    ok 3 - four # SKIP needs root
    ok 4 - five # SKIP
    not ok 5 - six # TODO later
    1..5
ok 1 - test/a.test.ts # time=12.4ms
1..1
`);
  t.strictSame({ passed, failed }, { passed: 3, failed: 0 });
  t.strictSame(skipped, [
    "test/a.test.ts > four: needs root", "test/a.test.ts > five: no reason given", "test/a.test.ts > six: later",
  ]);
  t.strictSame(lines, ["ok     test/a.test.ts  3 passed, 12 ms"]);
});

void t.test("a failed assertion counts once, with where and why", async (t) => {
  const { passed, failed, lines } = await count(`TAP version 14
# Subtest: test/a.test.ts
    # Subtest: sums
        ok 1 - fine
        not ok 2 - numbers
          ---
          diff: |
            -2
            +1
          at:
            fileName: test/a.test.ts
            lineNumber: 7
          ...
        1..2
    not ok 1 - sums # time=1ms
    1..1
not ok 1 - test/a.test.ts # time=2ms
  ---
  exitCode: 1
  ...
1..1
`);
  t.strictSame({ passed, failed }, { passed: 1, failed: 1 });
  t.strictSame(lines, [
    "FAILED test/a.test.ts > sums > numbers\n    at test/a.test.ts:7\n    -2\n    +1",
    "FAILED test/a.test.ts  1 passed, 1 failed, 2 ms",
  ]);
});

void t.test("a file that crashed, was killed or has no test counts as failed", async (t) => {
  const file = (body: string, end: string) => `TAP version 14\n# Subtest: x\n${body}${end}\n1..1\n`;
  const crashed = await count(file("    1..0 # no tests found\n", "not ok 1 - x # time=9ms\n  ---\n  exitCode: 1\n  ..."));
  t.match(crashed, { passed: 0, failed: 1, lines: ["FAILED x\n    ended with exit 1", "FAILED x  0 passed, 1 failed, 9 ms"] });
  const killed = await count(file("    ok 1 - fine\n", "not ok 1 - x # time=9ms\n  ---\n  signal: SIGKILL\n  ..."));
  t.match(killed, { passed: 1, failed: 1, lines: [/ended by SIGKILL/, /1 passed, 1 failed/] });
  const empty = await count(file("    1..0 # no tests found\n", "ok 1 - x # SKIP no tests found"));
  t.match(empty, { passed: 0, failed: 1, skipped: [], lines: [/no tests found/, /FAILED x {2}0 passed, 1 failed/] });
});

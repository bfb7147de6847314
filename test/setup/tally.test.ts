import t from "tap";
import { tally } from "#test/tally";

async function count(text: string) {
  const lines: string[] = [];
  async function* bytes() { await Promise.resolve(); yield* text; }
  return { ...(await tally(bytes(), "test/a.test.ts", (line) => lines.push(line))), lines };
}

void t.test("leaves are counted, whatever they are nested in", async (t) => {
  const { passed, failed, skipped, lines } = await count(`TAP version 14
# Subtest: deep
    # Subtest: deeper
        ok 1 - one
        ok 2 - two
        1..2
    ok 1 - deeper # time=1ms
    1..1
ok 1 - deep # time=1.5ms
ok 2 - three
ok 3 - four # SKIP needs root
ok 4 - five # SKIP
not ok 5 - six # TODO later
1..5
`);
  t.strictSame({ passed, failed }, { passed: 3, failed: 0 });
  t.strictSame(skipped, ["test/a.test.ts > four: needs root", "test/a.test.ts > five: no reason given", "test/a.test.ts > six: later"]);
  t.strictSame(lines, []);
});

void t.test("a failed assertion counts once, with where and why", async (t) => {
  const { passed, failed, lines } = await count(`TAP version 14
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
`);
  t.strictSame({ passed, failed }, { passed: 1, failed: 1 });
  t.strictSame(lines, ["FAILED test/a.test.ts > sums > numbers\n    at test/a.test.ts:7\n    -2\n    +1"]);
});

void t.test("a test that failed without an assertion, or has none, counts as failed", async (t) => {
  const late = await count("TAP version 14\n# Subtest: x\n    ok 1 - fine\n    1..1\nnot ok 1 - x # time=9ms\n  ---\n  message: timeout!\n  ...\n1..1\n");
  t.match(late, { passed: 1, failed: 1, lines: [/FAILED test\/a\.test\.ts > x\n {4}timeout!/] });
  const empty = await count("TAP version 14\n# Subtest: x\n    1..0 # no tests found\nok 1 - x # SKIP no tests found\n1..1\n");
  t.match(empty, { passed: 0, failed: 1, skipped: [], lines: [/no tests found/] });
});

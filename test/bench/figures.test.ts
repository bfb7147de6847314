import t from "tap";
import { percentile, reshardRow, rowOf, table, timed } from "./figures.ts";

const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);

void t.test("percentiles", (t) => {
  t.equal(percentile(hundred, 0.5), 51);
  t.equal(percentile(hundred, 0.99), 100);
  t.equal(percentile([7], 0.99), 7);
  t.ok(Number.isNaN(percentile([], 0.5)));
  t.end();
});

void t.test("a row: floor = 3 round trips to the boxes + 2 of the client + the cryptography", (t) => {
  t.strictSame(rowOf({ t: 3, n: 5 }, hundred, { boxes: 4.004, client: 1 }, 0.5), { t: 3, n: 5, p50: 51, p99: 100, floor: 14.51, ratio: 3.51, runs: 100 });
  t.end();
});

void t.test("runs that warm up do not count", async (t) => {
  let calls = 0;
  const samples = await timed(3, () => { calls += 1; }, { warm: 2 });
  t.strictSame([calls, samples.length], [5, 3]);
});

void t.test("a row of the re-shards: work by key, beside the floor of all its batches", (t) => {
  const row = reshardRow({ t: 3, n: 5 }, 1000, { detection: 3000.004, work: 5000, batches: [400, 400, 200], failed: 1, runs: 3 }, 2500, { messages: 54, bytes: 900, largestBytes: 200 });
  t.strictSame(row, {
    t: 3, n: 5, keys: 1000, detection: 3000, work: 5000, msPerKey: 5, floorMsPerKey: 2.5, ratio: 2, batches: [400, 400, 200], messages: 54, bytes: 900, largestBytes: 200, failed: 1, runs: 3,
  });
  t.end();
});

void t.test("a table is right-aligned under its heads", (t) => {
  t.equal(table(["t of n", "ms"], [["3 of 5", 1], ["5 of 9", 1234]]), "  t of n    ms\n  3 of 5     1\n  5 of 9  1234");
  t.end();
});

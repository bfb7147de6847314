import t from "tap";
import { percentile, rowOf, timed } from "./figures.ts";

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

import t from "tap";
import { systemRandom } from "../../agent/runtime/random.ts";
import { applyMatrix, expandMatrix } from "../../agent/sharding/check.ts";
import { choices } from "../../agent/sharding/degree.ts";
import { multiply, sum } from "../../agent/sharding/field.ts";
import { judge, type Published } from "../../agent/sharding/reshare.ts";
import type { Point } from "../../agent/sharding/shamir.ts";
import { lagrange } from "../support/gf256.ts";
import { interpolate } from "../support/polynomials.ts";
import { knownOfKeys, modelAttempt, publishedBytes, type AttemptForms } from "../support/reshare-model.ts";

/** Where the verdicts of protocol.md §7 end: the numbers m >= t+2 and n' >= t'+2 are for one liar, not for two in league. */

const transcript = new Uint8Array(32).fill(7);
const line = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
const nothing = new Uint8Array(16);

function honest(holders: number, witnesses: number): { attempt: AttemptForms; published: Published } {
  const attempt = modelAttempt({
    old: { t: 3, xs: line(witnesses) }, next: { t: 3, xs: line(holders) },
    dealers: [1, 2, 3], witnesses: line(witnesses), keys: 1, transcripts: [transcript],
  });
  return { attempt, published: publishedBytes(attempt, systemRandom.bytes(attempt.width)) };
}

/** The liars add to their values those of a polynomial of degree below 3 that two honest parties do not see, and that is `by` at `at`. */
function shifted(points: readonly Point[], liars: readonly number[], [a, b]: readonly number[], at: number, by: Uint8Array): Point[] {
  const shift = [{ x: a!, y: nothing }, { x: b!, y: nothing }, { x: at, y: by }];
  return points.map(({ x, y }) => ({ x, y: liars.includes(x) ? sum(y, interpolate(shift, x)) : y }));
}

void t.test("t'-1 lying holders of a 3-of-5 have an honest holder named with every dealer: opening that seal would give them the key", async (t) => {
  const { attempt, published } = honest(5, 5);
  for (const liars of choices(line(5), 2)) {
    const [framed, ...unseen] = line(5).filter((x) => !liars.includes(x));
    const dealers = published.dealers.map(({ x, values }) => ({ x, values: shifted(values, liars, unseen, liars[0]!, systemRandom.bytes(16)) }));
    const verdict = await judge({ ...published, dealers });
    const pairs = [1, 2, 3].map((dealer) => ({ dealer, holder: framed! }));
    t.strictSame(verdict, { kind: "dealers-off-degree", pairs });
    const known = (old: readonly number[], opened: readonly (readonly [number, number])[]) => knownOfKeys([[attempt, { old, next: liars, opened }]]);
    t.equal(known([], pairs.map(({ dealer, holder }) => [dealer, holder])), 32, "without one old shard");
    const honestDealer = [1, 2, 3].find((dealer) => !liars.includes(dealer))!;
    t.equal(known(liars, [[honestDealer, framed!]]), 32, "the same two boxes in a refresh: one seal");
    // Each dealer knows what it dealt, and so who published something else; those seals hold nothing that the liars had not.
    t.equal(known(liars, [1, 2, 3].flatMap((dealer) => liars.map((liar) => [dealer, liar] as const))), 0);
  }
});

void t.test("with n' >= t' + 1 + liars no honest holder is named", async (t) => {
  const { published } = honest(6, 5);
  for (const liars of choices(line(6), 2)) {
    for (const unseen of choices(line(6).filter((x) => !liars.includes(x)), 2)) {
      const values = shifted(published.dealers[0]!.values, liars, unseen, liars[0]!, systemRandom.bytes(16));
      const verdict = await judge({ ...published, dealers: published.dealers.with(0, { x: 1, values }) });
      t.strictSame(verdict, { kind: "dealers-off-degree", pairs: [{ dealer: 1, holder: null }] });
    }
  }
});

void t.test("two lying witnesses of five have an honest one named, although m = t+2; of six nobody", async (t) => {
  for (const [m, liars] of [[5, [3]], [6, null]] as const) {
    const { published } = honest(5, m);
    const witnesses = shifted(published.witnesses, [4, 5], [1, 2], 4, systemRandom.bytes(16));
    t.strictSame(await judge({ ...published, witnesses }), { kind: "witnesses-off-degree", liars });
  }
});

void t.test("a dealer and a witness in league change a key of threshold 3 unseen with m = t+1; with t honest witnesses they cannot", async (t) => {
  for (const [m, expected] of [[4, { kind: "accepted", proven: true }], [5, { kind: "witnesses-off-degree", liars: [5] }]] as const) {
    const { published } = honest(5, m);
    const difference = applyMatrix(expandMatrix(transcript, "key-0"), systemRandom.bytes(32));
    // Dealer 1 deals its shard plus the difference; K moves by λ_1 times it, and the two witnesses hide just that.
    const dealers = published.dealers.with(0, { x: 1, values: published.dealers[0]!.values.map(({ x, y }) => ({ x, y: sum(y, difference) })) });
    const atZero = difference.map((byte) => multiply(lagrange([1, 2, 3])[0]!, byte));
    t.strictSame(await judge({ ...published, dealers, witnesses: shifted(published.witnesses, [1, 4], [2, 3], 0, atZero) }), expected, `m = ${m}`);
    t.strictSame(await judge({ ...published, dealers }), { kind: "sums-differ" }, "alone the dealer is caught");
  }
});

import t from "tap";
import { systemRandom } from "../../agent/runtime/random.ts";
import { expandMatrix } from "../../agent/sharding/check.ts";
import { choices, degreeBelow } from "../../agent/sharding/degree.ts";
import { dealMask, holderValue, judge, witnessValue } from "../../agent/sharding/reshare.ts";
import { combineShares, type Point } from "../../agent/sharding/shamir.ts";
import { evaluateForms, type Value } from "../support/gf256.ts";
import { sha256 } from "../support/hash.ts";
import { knownOfKeys, modelAttempt, publishedBytes, type AttemptForms, type Corrupted, type Plan } from "../support/reshare-model.ts";

/**
 * What re-sharding gives away (protocol.md §7), computed: everything that an adversary has is a linear form of the key and
 * of what was drawn at random; Gaussian elimination leaves what of it speaks of the key alone. The transcripts are fixed,
 * because a random R would miss its full rank once in some 255 runs and only the controls would notice.
 */
const transcript = (attempt: number, other = 0) => sha256(Uint8Array.of(attempt, other));
const range = (count: number) => Array.from({ length: count }, (_, index) => index);

const [twoOfThree, threeOfFive] = [{ t: 2, xs: [1, 2, 3] }, { t: 3, xs: [1, 2, 3, 4, 5] }];

/** Burnt attempts of one epoch: all old holders witness, the dealers change from attempt to attempt. */
function burnt(change: Pick<Plan, "old" | "next"> & Partial<Plan>, attempts = 6): AttemptForms[] {
  const { old } = change;
  return range(attempts).map((attempt) => modelAttempt({
    dealers: range(old.t).map((index) => old.xs[(attempt + index) % old.xs.length]!),
    witnesses: old.xs, keys: 1, transcripts: [transcript(attempt)], ...change,
  }));
}

/** The same adversary in every attempt, or one that depends on it. */
function leaked(attempts: readonly AttemptForms[], who: Corrupted | ((attempt: AttemptForms, index: number) => Corrupted)): number {
  return knownOfKeys(attempts.map((attempt, index) => [attempt, typeof who === "function" ? who(attempt, index) : who] as const));
}

const settings: readonly (readonly [name: string, change: Pick<Plan, "old" | "next"> & Partial<Plan>])[] = [
  ["3-of-5 refreshed", { old: threeOfFive, next: threeOfFive }],
  ["2-of-3 to 2-of-4", { old: twoOfThree, next: { t: 2, xs: [2, 3, 7, 8] } }],
  ["3-of-5 to 3-of-4", { old: threeOfFive, next: { t: 3, xs: [1, 2, 4, 5] } }],
  ["a batch of two keys, 3-of-5 to another 2-of-3", { old: threeOfFive, next: { t: 2, xs: [2, 5, 9] }, keys: 2 }],
];

void t.test("the model's forms are what the code deals, publishes and accepts, byte for byte", async (t) => {
  for (const [name, change] of settings) {
    for (const attempt of burnt(change, 2)) {
      const { plan, keys, shards, deals, published } = attempt;
      const unknowns = systemRandom.bytes(attempt.width);
      const bytes = (value: Value) => evaluateForms(value, unknowns);
      const points = (xs: readonly number[], values: readonly Value[]): Point[] => xs.map((x, index) => ({ x, y: bytes(values[index]!) }));
      const polynomial = async (at: readonly Point[], threshold: number, secret: Uint8Array) => {
        t.ok(await degreeBelow(at, threshold), name);
        t.strictSame(await combineShares(at.slice(-threshold), threshold), secret, name);
      };
      for (const [key, value] of keys.entries()) {
        await polynomial(points(plan.old.xs, shards[key]!), plan.old.t, bytes(value));
        const renewed = await Promise.all(plan.next.xs.map(async (x, j) => ({
          x, y: await combineShares(deals.map((deal) => ({ x: deal.x, y: bytes(deal.subshares[key]![j]!) })), plan.old.t),
        })));
        await polynomial(renewed, plan.next.t, bytes(value));
      }
      const matrices = keys.map((_, key) => expandMatrix(plan.transcripts[0]!, `key-${key}`));
      const terms = (values: readonly Value[]) => values.map((value, key) => ({ matrix: matrices[key]!, share: bytes(value) }));
      for (const [i, { x, subshares, toWitnesses, toHolders }] of deals.entries()) {
        for (const [key, ofKey] of subshares.entries()) {
          await polynomial(points(plan.next.xs, ofKey), plan.next.t, bytes(shards[key]![plan.old.xs.indexOf(x)]!));
        }
        const mask = await combineShares(points(plan.witnesses, toWitnesses).slice(-plan.old.t), plan.old.t);
        await polynomial(points(plan.witnesses, toWitnesses), plan.old.t, mask);
        await polynomial(points(plan.next.xs, toHolders), plan.next.t, mask);
        for (const [j, value] of published[0]!.dealers[i]!.entries()) {
          t.strictSame(bytes(value), holderValue(terms(subshares.map((ofKey) => ofKey[j]!)), bytes(toHolders[j]!)), `${name}: e_ij`);
        }
      }
      for (const [k, value] of published[0]!.witnesses.entries()) {
        const pieces = deals.map(({ x, toWitnesses }) => ({ x, y: bytes(toWitnesses[k]!) }));
        const shardsOfWitness = shards.map((ofKey) => ofKey[plan.old.xs.indexOf(plan.witnesses[k]!)]!);
        t.strictSame(bytes(value), await witnessValue(terms(shardsOfWitness), pieces), `${name}: the witness's value`);
      }
      t.strictSame(await judge(publishedBytes(attempt, unknowns)), { kind: "accepted", proven: true });
    }
  }
});

void t.test("the two sides of a mask are dealt by different polynomials, as the model has them", async (t) => {
  const { toWitnesses, toHolders } = await dealMask(systemRandom, threeOfFive, threeOfFive);
  for (const [index, piece] of toWitnesses.entries()) t.notSame(piece, toHolders[index]);
});

for (const [name, change] of settings) {
  void t.test(`${name}: all that six burnt attempts publish, t-1 old boxes and t'-1 new ones tell nothing of the key`, (t) => {
    const attempts = burnt(change);
    t.equal(leaked(attempts, {}), 0, "the public alone");
    const sets = [...choices(change.next.xs, change.next.t - 1)];
    for (const old of choices(change.old.xs, change.old.t - 1)) {
      for (const next of sets) t.equal(leaked(attempts, { old, next }), 0, `old ${old.join()}, new ${next.join()}`);
      t.equal(leaked(attempts, (_, attempt) => ({ old, next: sets[attempt % sets.length]! })), 0, `old ${old.join()}, other new boxes in each attempt`);
    }
    t.end();
  });
}

void t.test("an opened seal tells nothing if the adversary had its content: the holder, or the dealer, is its own", (t) => {
  const attempts = burnt({ old: threeOfFive, next: threeOfFive });
  for (const [old, next] of [[[1, 2], [1, 2]], [[1, 2], [4, 5]], [[2, 4], [3, 5]]] as const) {
    t.equal(leaked(attempts, ({ plan }) => ({ old, next, opened: plan.dealers.map((dealer) => [dealer, next[0]]) })), 0, "every dealer, to one liar");
    const own = ({ plan }: AttemptForms) => plan.dealers.filter((x) => old.some((box) => box === x));
    const all = (attempt: AttemptForms) => own(attempt).flatMap((x) => attempt.plan.next.xs.map((holder) => [x, holder] as const));
    t.equal(leaked(attempts, (attempt) => ({ old, next, opened: all(attempt) })), 0, "a liar's whole deal");
  }
  t.end();
});

void t.test("an honest dealer's seal to an honest holder counts as one more new box in that attempt, for that dealer", (t) => {
  const attempts = burnt({ old: threeOfFive, next: threeOfFive });
  const opened = (dealers: readonly number[], holder = 5) => dealers.map((dealer) => [dealer, holder] as const);
  const one = (who: Corrupted) => leaked(attempts.slice(0, 1), who);
  t.equal(one({ old: [1, 2], next: [1], opened: opened([3]) }), 0, "t'-2 new boxes: the bound holds");
  t.equal(one({ old: [1, 2], next: [1, 2], opened: opened([3]) }), 32, "t'-1 new boxes: one seal is the honest dealer's shard, and with t-1 others the key");
  t.equal(one({ old: [1], next: [1, 2], opened: opened([2]) }), 0);
  t.equal(one({ old: [1], next: [1, 2], opened: opened([2, 3]) }), 32);
  t.equal(one({ next: [1, 2], opened: opened([1, 2]) }), 0);
  t.equal(one({ next: [1, 2], opened: opened([1, 2, 3]) }), 32, "one seal of each dealer: no old shard is needed");
  t.equal(leaked(attempts, ({ plan }) => ({ old: [1, 2], next: [1], opened: opened(plan.dealers) })), 0, "seals of six attempts do not add up");
  const small = burnt({ old: twoOfThree, next: { t: 2, xs: [1, 2, 3, 4] } });
  t.equal(leaked(small, ({ plan }) => ({ old: [1], opened: opened(plan.dealers, 4) })), 0);
  t.equal(leaked(small.slice(0, 1), { old: [1], next: [1], opened: [[2, 4]] }), 32);
  t.end();
});

void t.test("an honest dealer's seal to an honest witness is never to be opened: 16 bytes an attempt", (t) => {
  const attempts = burnt({ old: threeOfFive, next: threeOfFive, dealers: [1, 2, 3] }, 2);
  const who: Corrupted = { old: [1, 2], openedToWitness: [[3, 5]] };
  t.equal(leaked(attempts.slice(0, 1), who), 16);
  t.equal(leaked(attempts, who), 32);
  t.equal(leaked(attempts, { old: [1, 2], openedToWitness: [[3, 2]] }), 0, "to a witness that is the adversary's: nothing");
  t.end();
});

void t.test("control: masks that live in the epoch and not in the attempt give the public the key after three attempts", (t) => {
  const attempts = burnt({ old: threeOfFive, next: threeOfFive, dealers: [1, 2, 3], reuseMasks: true }, 3);
  t.strictSame([1, 2, 3].map((count) => leaked(attempts.slice(0, count), {})), [0, 16, 32]);
  t.strictSame([1, 2, 3].map((count) => leaked(attempts.slice(0, count), { old: [1, 4], next: [2, 5] })), [0, 16, 32]);
  const other = burnt({ old: threeOfFive, next: threeOfFive, reuseMasks: true }, 4);
  t.strictSame(range(4).map((last) => leaked(other.slice(0, last + 1), {})), [0, 0, 0, 32], "other dealers each time: after four");
  t.strictSame(range(3).map((last) => leaked(other.slice(0, last + 1), { old: [1, 2] })), [0, 16, 32]);
  t.end();
});

void t.test("control: two transcripts under one mask give the public 16 bytes, three all", (t) => {
  for (const [count, bytes] of [[1, 0], [2, 16], [3, 32]] as const) {
    const [attempt] = burnt({ old: threeOfFive, next: threeOfFive, transcripts: range(count).map((other) => transcript(0, other)) }, 1);
    t.equal(leaked([attempt!], {}), bytes);
  }
  t.end();
});

void t.test("control: one value for each key of a batch under one mask gives away their difference", (t) => {
  const [attempt] = burnt({ old: threeOfFive, next: threeOfFive, keys: 2, publishEachKey: true }, 1);
  t.equal(leaked([attempt!], {}), 16);
  t.end();
});

void t.test("control: t old boxes are the key, and t' new boxes of one burnt attempt", (t) => {
  const [attempt] = burnt({ old: threeOfFive, next: { t: 2, xs: [1, 2, 3] }, keys: 2 }, 1);
  t.equal(leaked([attempt!], { old: [1, 3, 5] }), 64);
  t.equal(leaked([attempt!], { next: [1, 3] }), 64, "so *next* of a burnt attempt has to be destroyed like any epoch");
  t.equal(leaked([attempt!], { old: [1, 3], next: [1] }), 0);
  t.end();
});

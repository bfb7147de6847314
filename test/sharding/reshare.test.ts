import t from "tap";
import { systemRandom } from "../../agent/runtime/random.ts";
import { applyMatrix, expandMatrix } from "../../agent/sharding/check.ts";
import { sum } from "../../agent/sharding/field.ts";
import { dealMask, holderValue, judge, witnessValue, type MaskPieces, type Published, type Sharing } from "../../agent/sharding/reshare.ts";
import { combineShares, splitSecret, type Point } from "../../agent/sharding/shamir.ts";

/** What one dealer sends: for each key a sub-share for each new holder, and the pieces of its mask. */
interface Deal {
  readonly x: number;
  readonly subshares: Uint8Array[][];
  readonly mask: MaskPieces;
}

interface Setting {
  readonly old: Sharing;
  readonly next: Sharing;
  readonly witnesses: readonly number[];
  readonly keys: readonly Uint8Array[];
  /** By key, then in the order of old.xs. */
  readonly shards: Uint8Array[][];
  readonly deals: Deal[];
}

const line = (from: number, count: number, step = 1) => Array.from({ length: count }, (_, index) => from + index * step);
const points = (xs: readonly number[], ys: readonly Uint8Array[]): Point[] => xs.map((x, index) => ({ x, y: ys[index]! }));
const flipped = (bytes: Uint8Array, index = 0) => bytes.with(index, bytes[index]! ^ 1);

/** Old shards, and honest deals of the first t holders; all old holders witness unless told otherwise. */
async function setting(old: Sharing, next: Sharing, { keyCount = 1, witnesses = old.xs } = {}): Promise<Setting> {
  const keys = line(0, keyCount).map(() => systemRandom.bytes(32));
  const shards = await Promise.all(keys.map((key) => splitSecret(key, old.t, old.xs)));
  const deals = await Promise.all(old.xs.slice(0, old.t).map(async (x, index) => ({
    x,
    subshares: await Promise.all(shards.map((ys) => splitSecret(ys[index]!, next.t, next.xs))),
    mask: await dealMask(systemRandom, { t: old.t, xs: witnesses }, next),
  })));
  return { old, next, witnesses, keys, shards, deals };
}

/** CHECK as the parties would publish it. R comes after the deals. */
async function publish({ old, next, witnesses, shards, deals }: Setting, transcript = systemRandom.bytes(32)): Promise<Published> {
  const matrices = shards.map((_, key) => expandMatrix(transcript, `key-${key}`));
  const terms = (values: readonly Uint8Array[]) => values.map((share, key) => ({ matrix: matrices[key]!, share }));
  return {
    t: old.t,
    nextT: next.t,
    witnesses: await Promise.all(witnesses.map(async (x, index) => ({
      x,
      y: await witnessValue(terms(shards.map((ys) => ys[old.xs.indexOf(x)]!)), deals.map((deal) => ({ x: deal.x, y: deal.mask.toWitnesses[index]! }))),
    }))),
    dealers: deals.map((deal) => ({
      x: deal.x,
      values: next.xs.map((x, index) => ({ x, y: holderValue(terms(deal.subshares.map((ys) => ys[index]!)), deal.mask.toHolders[index]!) })),
    })),
  };
}

async function newShards({ old, next, deals, keys }: Setting): Promise<Point[][]> {
  return await Promise.all(keys.map(async (_, key) => await Promise.all(next.xs.map(async (x, index) => ({
    x, y: await combineShares(deals.map((deal) => ({ x: deal.x, y: deal.subshares[key]![index]! })), old.t),
  })))));
}

const threeOfFive = async () => await setting({ t: 3, xs: [1, 2, 3, 4, 5] }, { t: 3, xs: [1, 2, 4, 5, 9] });

void t.test("every (t, n) to every (t', n') up to 6: honest values are accepted, the key stays, old and new do not mix", async (t) => {
  for (let n = 2; n <= 6; n++) for (let threshold = 2; threshold <= n; threshold++) {
    for (let nextN = 2; nextN <= 6; nextN++) for (let nextT = 2; nextT <= nextN; nextT++) {
      const name = `${threshold}-of-${n} to ${nextT}-of-${nextN}`;
      const honest = await setting({ t: threshold, xs: line(1, n, 3) }, { t: nextT, xs: line(4, nextN, 2) });
      const verdict = await judge(await publish(honest));
      if (verdict.kind !== "accepted" || verdict.proven !== n > threshold) t.fail(`${name}: ${JSON.stringify(verdict)}`);
      const [shards] = await newShards(honest);
      if (Buffer.compare(await combineShares(shards!.slice(-nextT), nextT), honest.keys[0]!) !== 0) t.fail(`${name}: another key`);
      if (nextT === threshold) {
        const mixed = [{ x: 1, y: honest.shards[0]![0]! }, ...shards!.filter(({ x }) => x !== 1).slice(0, nextT - 1)];
        if (Buffer.compare(await combineShares(mixed, nextT), honest.keys[0]!) === 0) t.fail(`${name}: an old shard still counts`);
      }
    }
  }
  t.pass("225 re-shards");
});

void t.test("a batch: one masked sum over five keys; each key stays", async (t) => {
  const batch = await setting({ t: 3, xs: [1, 2, 3, 4, 5] }, { t: 2, xs: [7, 8, 9] }, { keyCount: 5 });
  t.strictSame(await judge(await publish(batch)), { kind: "accepted", proven: true });
  const shards = await newShards(batch);
  for (const [key, value] of batch.keys.entries()) t.strictSame(await combineShares(shards[key]!.slice(1), 2), value);
});

void t.test("what is published is the sum over the keys under one mask, byte for byte", (t) => {
  const piece = systemRandom.bytes(16);
  const [a, b] = [systemRandom.bytes(32), systemRandom.bytes(32)];
  const [ra, rb] = [expandMatrix(new Uint8Array(32), "a"), expandMatrix(new Uint8Array(32), "b")];
  t.strictSame(holderValue([{ matrix: ra, share: a }, { matrix: rb, share: b }], piece), sum(applyMatrix(ra, a), applyMatrix(rb, b), piece));
  t.strictSame(holderValue([], piece), piece);
  t.end();
});

void t.test("a dealer that deals another value consistently is not accepted, by any single bit, in any key of the batch", async (t) => {
  for (let bit = 0; bit < 256; bit += 5) {
    const lying = await setting({ t: 2, xs: [1, 2, 3] }, { t: 2, xs: [1, 2, 3] }, { keyCount: 2 });
    const wrong = lying.shards[1]![0]!.slice();
    wrong[bit >> 3]! ^= 1 << (bit & 7);
    lying.deals[0]!.subshares[1] = await splitSecret(wrong, 2, lying.next.xs);
    t.strictSame(await judge(await publish(lying)), { kind: "sums-differ" });
  }
});

void t.test("a dealer whose sub-shares have too high a degree is not accepted: each pair it cannot hide is named if n' >= t'+2", async (t) => {
  const lying = await threeOfFive();
  lying.deals[1]!.subshares[0]![3] = flipped(lying.deals[1]!.subshares[0]![3]!, 31);
  t.strictSame(await judge(await publish(lying)), { kind: "dealers-off-degree", pairs: [{ dealer: 2, holder: 5 }] });
  lying.deals[2]!.subshares[0]![0] = flipped(lying.deals[2]!.subshares[0]![0]!);
  t.strictSame(await judge(await publish(lying)), { kind: "dealers-off-degree", pairs: [{ dealer: 2, holder: 5 }, { dealer: 3, holder: 1 }] });
  lying.deals[1]!.subshares[0] = await splitSecret(lying.shards[0]![1]!, 4, lying.next.xs);
  t.strictSame(await judge(await publish(lying)), { kind: "dealers-off-degree", pairs: [{ dealer: 2, holder: null }, { dealer: 3, holder: 1 }] });
});

void t.test("with n' = t'+1 it is detected and no pair named; with n' = t' it shows in the sum", async (t) => {
  for (const [xs, expected] of [
    [[1, 2, 3], { kind: "dealers-off-degree", pairs: [{ dealer: 1, holder: null }] }], [[1, 2], { kind: "sums-differ" }],
  ] as const) {
    const lying = await setting({ t: 2, xs: [1, 2, 3] }, { t: 2, xs });
    lying.deals[0]!.subshares[0]![1] = flipped(lying.deals[0]!.subshares[0]![1]!);
    t.strictSame(await judge(await publish(lying)), expected);
  }
});

void t.test("a holder that publishes a wrong value looks like its dealer's lie: only the pair is accused", async (t) => {
  const honest = await threeOfFive();
  const published = await publish(honest);
  const values = published.dealers[0]!.values.map(({ x, y }) => ({ x, y: x === 9 ? flipped(y) : y }));
  t.strictSame(
    await judge({ ...published, dealers: published.dealers.with(0, { x: 1, values }) }),
    { kind: "dealers-off-degree", pairs: [{ dealer: 1, holder: 9 }] },
  );
});

void t.test("a wrong mask, to either side or to one party, is not accepted", async (t) => {
  for (const side of ["toWitnesses", "toHolders"] as const) {
    const lying = await threeOfFive();
    const [deal] = lying.deals;
    lying.deals[0] = { ...deal!, mask: { ...deal!.mask, [side]: (await dealMask(systemRandom, lying.old, lying.next))[side] } };
    t.strictSame(await judge(await publish(lying)), { kind: "sums-differ" }, `two masks, ${side}`);
  }
  const toHolder = await threeOfFive();
  const pieces = toHolder.deals[0]!.mask;
  toHolder.deals[0] = { ...toHolder.deals[0]!, mask: { ...pieces, toHolders: pieces.toHolders.with(2, Uint8Array.from(flipped(pieces.toHolders[2]!))) } };
  t.strictSame(await judge(await publish(toHolder)), { kind: "dealers-off-degree", pairs: [{ dealer: 1, holder: 4 }] });
  const toWitness = await threeOfFive();
  const dealt = toWitness.deals[0]!.mask;
  toWitness.deals[0] = { ...toWitness.deals[0]!, mask: { ...dealt, toWitnesses: dealt.toWitnesses.with(2, Uint8Array.from(flipped(dealt.toWitnesses[2]!))) } };
  t.strictSame(await judge(await publish(toWitness)), { kind: "witnesses-off-degree", liars: [3] }, "a dealer can frame a witness: suspicion, not proof");
});

void t.test("a lying witness: named with m >= t+2, detected with t+1; with t only the sum sees it", async (t) => {
  for (const [witnesses, expected] of [
    [[1, 2, 3, 4, 5], { kind: "witnesses-off-degree", liars: [2] }],
    [[1, 2, 3, 4], { kind: "witnesses-off-degree", liars: null }],
    [[1, 2, 3], { kind: "sums-differ" }],
  ] as const) {
    const honest = await setting({ t: 3, xs: [1, 2, 3, 4, 5] }, { t: 3, xs: [1, 2, 3, 4, 6] }, { witnesses });
    const published = await publish(honest);
    t.equal((await judge(published)).kind, "accepted");
    const values = published.witnesses.map(({ x, y }) => ({ x, y: x === 2 ? flipped(y) : y }));
    t.strictSame(await judge({ ...published, witnesses: values }), expected);
  }
});

void t.test("with m = t nothing is proven: all dealers witness for themselves and change the key unseen; one witness more sees it", async (t) => {
  for (const [witnesses, expected] of [
    [[1, 2], { kind: "accepted", proven: false }], [[1, 2, 3], { kind: "witnesses-off-degree", liars: null }],
  ] as const) {
    const lying = await setting({ t: 2, xs: [1, 2, 3] }, { t: 2, xs: [1, 2, 3] }, { witnesses });
    lying.shards[0]![0] = flipped(lying.shards[0]![0]!);
    lying.deals[0]!.subshares[0] = await splitSecret(lying.shards[0]![0], 2, lying.next.xs);
    t.strictSame(await judge(await publish(lying)), expected);
    const [changed] = await newShards(lying);
    t.notSame(await combineShares(changed!.slice(0, 2), 2), lying.keys[0]);
  }
});

void t.test("why R is drawn after the deals: a dealer that knew it would be accepted, and change the key", async (t) => {
  const lying = await setting({ t: 2, xs: [1, 2, 3] }, { t: 2, xs: [1, 2, 3] });
  const transcript = systemRandom.bytes(32);
  const wrong = flipped(lying.shards[0]![0]!);
  lying.deals[0]!.subshares[0] = await splitSecret(wrong, 2, lying.next.xs);
  const shift = applyMatrix(expandMatrix(transcript, "key-0"), sum(wrong, lying.shards[0]![0]!));
  const { mask } = lying.deals[0]!;
  lying.deals[0] = { ...lying.deals[0]!, mask: { ...mask, toHolders: mask.toHolders.map((piece) => sum(piece, shift)) } };
  t.strictSame(await judge(await publish(lying, transcript)), { kind: "accepted", proven: true });
  const [changed] = await newShards(lying);
  t.notSame(await combineShares(changed!.slice(0, 2), 2), lying.keys[0]);
  t.strictSame(await judge(await publish(lying)), { kind: "sums-differ" }, "by any other transcript it is caught");
});

void t.test("why a mask serves one transcript: a second one would publish 16 bytes of every sub-share", async (t) => {
  const honest = await threeOfFive();
  const [first, second] = [systemRandom.bytes(32), systemRandom.bytes(32)];
  const [a, b] = [await publish(honest, first), await publish(honest, second)];
  const difference = sum(a.dealers[0]!.values[0]!.y, b.dealers[0]!.values[0]!.y);
  const share = honest.deals[0]!.subshares[0]![0]!;
  t.strictSame(difference, sum(applyMatrix(expandMatrix(first, "key-0"), share), applyMatrix(expandMatrix(second, "key-0"), share)));
});

void t.test("masks are fresh each time, and pieces of both sides hold one mask", async (t) => {
  const [old, next] = [{ t: 2, xs: [1, 2, 3] }, { t: 3, xs: [4, 5, 6, 7] }];
  const masks = await Promise.all([1, 2, 3].map(async () => {
    const { toWitnesses, toHolders } = await dealMask(systemRandom, old, next);
    const mask = await combineShares(points(old.xs, toWitnesses).slice(1), 2);
    t.strictSame(await combineShares(points(next.xs, toHolders).slice(1), 3), mask);
    return Buffer.from(mask).toString("hex");
  }));
  t.equal(new Set(masks).size, 3);
  const given = new Uint8Array(new ArrayBuffer(16)).fill(9);
  await dealMask({ bytes: () => given }, old, next);
  t.strictSame(given, new Uint8Array(16), "the mask itself is wiped");
});

void t.test("an incomplete set of values gets no verdict", async (t) => {
  const honest = await threeOfFive();
  const published = await publish(honest);
  const [dealer, second] = published.dealers;
  const refused = async (change: Partial<Published>, code: string) => {
    await t.rejects(judge({ ...published, ...change }), { code });
  };
  await refused({ dealers: published.dealers.slice(1) }, "SHARE_COUNT");
  await refused({ dealers: [] }, "SHARE_COUNT");
  await refused({ dealers: [...published.dealers, { ...dealer!, x: 5 }] }, "SHARE_COUNT");
  await refused({ dealers: published.dealers.with(0, second!) }, "SHARE_X_DUPLICATE");
  await refused({ dealers: published.dealers.with(0, { ...dealer!, x: 0 }) }, "SHARE_X_INVALID");
  await refused({ dealers: published.dealers.with(0, { ...dealer!, values: dealer!.values.slice(1) }) }, "SHARE_COUNT");
  await refused({ dealers: published.dealers.map(({ x, values }) => ({ x, values: values.slice(3) })) }, "SHARE_COUNT");
  await refused({ dealers: published.dealers.map(({ x, values }) => ({ x, values: values.with(1, values[0]!) })) }, "SHARE_X_DUPLICATE");
  await refused({ dealers: published.dealers.with(0, { ...dealer!, values: dealer!.values.with(0, { x: 77, y: dealer!.values[0]!.y }) }) }, "SHARE_COUNT");
  await refused({ witnesses: published.witnesses.slice(0, 2) }, "SHARE_COUNT");
  await refused({ witnesses: published.witnesses.with(1, published.witnesses[0]!) }, "SHARE_X_DUPLICATE");
  await refused({ witnesses: published.witnesses.with(1, { x: 2, y: new Uint8Array(32) }) }, "SHARE_LENGTH");
  await refused({ t: 1, dealers: published.dealers.slice(2) }, "THRESHOLD_INVALID");
  await refused({ nextT: 1 }, "THRESHOLD_INVALID");
  t.throws(() => holderValue([], new Uint8Array(15)), { code: "SHARE_LENGTH" });
  t.throws(() => holderValue([{ matrix: new Uint8Array(512), share: new Uint8Array(16) }], new Uint8Array(16)), { code: "SHARE_LENGTH" });
});

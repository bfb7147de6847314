import fc from "fast-check";
import { combine, split } from "shamir-secret-sharing";
import t from "tap";
import { systemRandom } from "../../agent/runtime/random.ts";
import { multiply } from "../../agent/sharding/field.ts";
import { combineShares, interpolateAtZero, splitSecret, type Point } from "../../agent/sharding/shamir.ts";

const secret = () => systemRandom.bytes(32);
const points = (xs: readonly number[], ys: readonly Uint8Array[]): Point[] => xs.map((x, index) => ({ x, y: ys[index]! }));
const anyXs = (length: number) => fc.uniqueArray(fc.integer({ min: 1, max: 255 }), { minLength: length, maxLength: length });
const badXs = [0, 256, -1, -0, 1.5, Number.NaN, Infinity, 512, 2 ** 32 + 1];

void t.test("any t of the shares give the secret back; 16 and 32 bytes, any x's", async (t) => {
  const sharing = fc.tuple(fc.constantFrom(16, 32), fc.integer({ min: 2, max: 6 }), fc.nat(3))
    .chain(([length, threshold, more]) => fc.tuple(
      fc.uint8Array({ minLength: length, maxLength: length }), fc.constant(threshold), anyXs(threshold + more)))
    .chain(([value, threshold, xs]) => fc.record({
      value: fc.constant(value), threshold: fc.constant(threshold), xs: fc.constant(xs),
      chosen: fc.shuffledSubarray(xs, { minLength: threshold, maxLength: threshold }),
    }));
  await fc.assert(fc.asyncProperty(sharing, async ({ value, threshold, xs, chosen }) => {
    const shares = points(xs, await splitSecret(value, threshold, xs));
    t.ok(shares.every(({ y }) => y.length === value.length && y.byteOffset === 0 && y.buffer.byteLength === value.length));
    t.strictSame(await combineShares(chosen.map((x) => shares.find((share) => share.x === x)!), threshold), value);
  }), { numRuns: 60 });
});

void t.test("the extremes: 2 of 2, 255 of 255", async (t) => {
  const value = secret();
  const every = Array.from({ length: 255 }, (_, index) => index + 1);
  t.strictSame(await combineShares(points(every, await splitSecret(value, 255, every)), 255), value);
  t.strictSame(await combineShares(points([255, 1], await splitSecret(value, 2, [255, 1])), 2), value);
});

void t.test("shares interoperate with the library's own, both ways", async (t) => {
  const value = secret();
  const ours = points([9, 4, 7], await splitSecret(value, 3, [9, 4, 7]));
  t.strictSame(await combine(ours.map(({ x, y }) => new Uint8Array([...y, x]))), new Uint8Array(value));
  const theirs = (await split(new Uint8Array(value), 5, 3)).map((share) => ({ x: share[32]!, y: share.subarray(0, 32) }));
  t.strictSame(await combineShares(theirs.slice(1, 4), 3), value);
});

void t.test("a known sharing: f(x) = s + 5x over GF(2^8)", async (t) => {
  const value = new Uint8Array(16).map((_, index) => index * 16);
  const share = (x: number) => ({ x, y: value.map((byte) => byte ^ multiply(5, x)) });
  t.strictSame(await combineShares([share(3), share(200)], 2), value);
  t.strictSame(await interpolateAtZero([share(3), share(200), share(77)]), value);
});

void t.test("x = 0, out of range or not a whole number never reaches the arithmetic (custody.md §4 rows 1, 2)", async (t) => {
  const [a, b] = await splitSecret(secret(), 3, [1, 2, 3]);
  const chosen = new Uint8Array(32).fill(0x41);
  const forged = await combine([new Uint8Array([...chosen, 0]), new Uint8Array([...a!, 1]), new Uint8Array([...b!, 2])]);
  t.strictSame(forged, chosen, "the library lets the holder of x = 0 choose the key: the refusals below are needed");
  for (const x of badXs) {
    const shares = [{ x, y: chosen }, { x: 1, y: a! }, { x: 2, y: b! }];
    await t.rejects(combineShares(shares, 3), { code: "SHARE_X_INVALID" }, `combine with x = ${x}`);
    await t.rejects(combineShares(shares.reverse(), 3), { code: "SHARE_X_INVALID" });
    await t.rejects(interpolateAtZero(shares), { code: "SHARE_X_INVALID" });
    await t.rejects(splitSecret(secret(), 3, [1, 2, x]), { code: "SHARE_X_INVALID" }, `split at x = ${x}`);
  }
});

void t.test("duplicate x's are refused, with equal or different values (row 3)", async (t) => {
  const ys = await splitSecret(secret(), 3, [1, 2, 3]);
  for (const xs of [[1, 1, 2], [1, 2, 1], [2, 1, 1]]) {
    await t.rejects(combineShares(points(xs, ys), 3), { code: "SHARE_X_DUPLICATE" });
    await t.rejects(combineShares(points(xs, [ys[0]!, ys[0]!, ys[0]!]), 3), { code: "SHARE_X_DUPLICATE" });
    await t.rejects(splitSecret(secret(), 3, xs), { code: "SHARE_X_DUPLICATE" });
  }
});

void t.test("exactly t shares: t-1 would give a plausible wrong key, t+1 hide a damaged one (row 7)", async (t) => {
  const xs = [1, 2, 3, 4];
  const shares = points(xs, await splitSecret(secret(), 3, xs));
  for (const count of [0, 1, 2, 4]) await t.rejects(combineShares(shares.slice(0, count), 3), { code: "SHARE_COUNT" });
  for (const count of [0, 1]) await t.rejects(interpolateAtZero(shares.slice(0, count)), { code: "SHARE_COUNT" });
  await t.rejects(splitSecret(secret(), 3, [1, 2]), { code: "SHARE_COUNT" });
});

void t.test("thresholds that are no sharing, and values of other sizes, are refused", async (t) => {
  const xs = Array.from({ length: 255 }, (_, index) => index + 1);
  for (const threshold of [0, 1, -1, 1.5, 256, Number.NaN]) {
    await t.rejects(splitSecret(secret(), threshold, xs), { code: "THRESHOLD_INVALID" });
    await t.rejects(combineShares([], threshold), { code: "THRESHOLD_INVALID" });
  }
  for (const length of [0, 1, 15, 17, 31, 33, 64]) {
    const y = new Uint8Array(length);
    await t.rejects(splitSecret(y, 2, [1, 2]), { code: "SHARE_LENGTH" });
    await t.rejects(combineShares([{ x: 1, y }, { x: 2, y }], 2), { code: "SHARE_LENGTH" });
  }
  await t.rejects(combineShares([{ x: 1, y: new Uint8Array(32) }, { x: 2, y: new Uint8Array(16) }], 2), { code: "SHARE_LENGTH" });
});

void t.test("Buffers and views into larger memory are taken, and inputs stay as they were", async (t) => {
  const pool = Buffer.from(systemRandom.bytes(100));
  const value = pool.subarray(3, 35);
  const before = Buffer.from(pool);
  const shares = points([1, 2], await splitSecret(value, 2, [1, 2])).map(({ x, y }) => ({ x, y: Buffer.from(y) }));
  const copies = shares.map(({ y }) => Buffer.from(y));
  const whole = await combineShares(shares, 2);
  t.strictSame(Buffer.from(whole), Buffer.from(value));
  t.equal(whole.buffer.byteLength, 32, "a view over its own ArrayBuffer");
  t.strictSame(pool, before);
  t.strictSame(shares.map(({ y }) => y), copies);
});

void t.test("a flipped bit anywhere in a share changes the secret, silently: digests must be checked before (row 6)", async (t) => {
  const value = secret();
  const shares = points([1, 2, 3], await splitSecret(value, 3, [1, 2, 3]));
  const results = new Set<string>();
  for (let bit = 0; bit < 256; bit++) {
    const y = shares[1]!.y.slice();
    y[bit >> 3]! ^= 1 << (bit & 7);
    const wrong = await combineShares([shares[0]!, { x: 2, y }, shares[2]!], 3);
    results.add(Buffer.from(wrong).toString("hex"));
  }
  t.equal(results.size, 256);
  t.notOk(results.has(Buffer.from(value).toString("hex")));
});

void t.test("every coefficient is uniform, the top one too, and every byte value occurs (row 4)", async (t) => {
  const value = secret();
  const splits = 700;
  const counts = [new Uint32Array(256), new Uint32Array(256)];
  for (let run = 0; run < splits; run++) {
    // s + a + b at x = 1 and s + 2a + 4b at x = 2: with m = share - s, (2·m1 + m2) / 6 = b, m1 + b = a.
    const [one, two] = await splitSecret(value, 3, [1, 2, 3]);
    for (let index = 0; index < 32; index++) {
      const m1 = one![index]! ^ value[index]!;
      const m2 = two![index]! ^ value[index]!;
      const b = multiply(0x7b, multiply(2, m1) ^ m2);
      counts[0]![m1 ^ b]! += 1;
      counts[1]![b]! += 1;
    }
  }
  t.equal(multiply(0x7b, 6), 1, "0x7b is 1/6");
  const expected = (splits * 32) / 256;
  for (const [index, count] of counts.entries()) {
    const chiSquare = count.reduce((total, seen) => total + (seen - expected) ** 2 / expected, 0);
    // 255 degrees of freedom: mean 255, deviation 22.6. Fails by chance less than once in 10^9 runs;
    // a top coefficient that is never zero alone adds 87.5, and a missing value is asked for below.
    t.ok(chiSquare < 410, `coefficient ${index + 1}: chi square ${chiSquare}`);
    t.ok(count.every((seen) => seen > 0), `coefficient ${index + 1} takes every value`);
  }
});

import fc from "fast-check";
import t from "tap";
import { degreeBelow, offPolynomial } from "../../agent/sharding/degree.ts";
import { multiply } from "../../agent/sharding/field.ts";
import type { Point } from "../../agent/sharding/shamir.ts";
import { evaluate, onOnePolynomial } from "../support/polynomials.ts";

/** 16 bytes of which only byte `at` is not zero. */
function value(byte: number, at = 0): Uint8Array {
  const y = new Uint8Array(16);
  y[at] = byte;
  return y;
}

/** A polynomial of degree below t (exactly t-1 or less), at x's, and t and n. */
const honest = fc.tuple(fc.integer({ min: 2, max: 4 }), fc.nat(4)).chain(([threshold, more]) => fc.record({
  threshold: fc.constant(threshold),
  xs: fc.uniqueArray(fc.integer({ min: 1, max: 255 }), { minLength: threshold + more, maxLength: threshold + more }),
  coefficients: fc.array(fc.uint8Array({ minLength: 16, maxLength: 16 }), { minLength: threshold, maxLength: threshold }),
}));
const at = (xs: readonly number[], coefficients: readonly Uint8Array[]): Point[] => xs.map((x) => ({ x, y: evaluate(coefficients, x) }));

function spoilt(points: readonly Point[], which: readonly number[], by = 1): Point[] {
  return points.map((point, index) => {
    if (!which.includes(index)) return point;
    const y = point.y.slice();
    y[index % 16]! ^= by;
    return { x: point.x, y };
  });
}

void t.test("exhaustively for every choice of values from {0,1,2,3}: the same answer as interpolation everywhere", async (t) => {
  for (const [n, thresholds] of [[3, [2]], [4, [2, 3]], [5, [2, 3, 4]]] as const) {
    for (const threshold of thresholds) {
      let wrong = 0;
      let low = 0;
      for (let code = 0; code < 4 ** n; code++) {
        const points = Array.from({ length: n }, (_, index) => ({ x: index + 1, y: value((code >> (2 * index)) & 3) }));
        const expected = onOnePolynomial(points, threshold);
        if (expected) low += 1;
        if ((await degreeBelow(points, threshold)) !== expected) wrong += 1;
      }
      t.equal(wrong, 0, `${threshold} of ${n}`);
      t.ok(low >= 4 && low < 4 ** n, `${low} of ${4 ** n} were of low degree: both answers were tried`);
    }
  }
});

void t.test("points of a polynomial of low degree are accepted, in any order; one changed bit anywhere is not", async (t) => {
  await fc.assert(fc.asyncProperty(honest, fc.nat(), fc.nat(127), async ({ threshold, xs, coefficients }, which, bit) => {
    const points = at(xs, coefficients);
    t.equal(await degreeBelow(points, threshold), true);
    t.equal(await degreeBelow(points.toReversed(), threshold), true);
    const y = points[which % points.length]!.y.slice();
    y[bit >> 3]! ^= 1 << (bit & 7);
    const wrong = points.with(which % points.length, { x: xs[which % points.length]!, y });
    t.equal(await degreeBelow(wrong, threshold), points.length <= threshold, "t points always fit");
  }), { numRuns: 80 });
});

void t.test("a polynomial of degree exactly t is refused, whichever byte has it", async (t) => {
  await fc.assert(fc.asyncProperty(honest, fc.integer({ min: 1, max: 255 }), fc.nat(15), async ({ threshold, xs, coefficients }, top, byte) => {
    fc.pre(xs.length > threshold);
    t.equal(await degreeBelow(at(xs, [...coefficients, value(top, byte)]), threshold), false);
  }), { numRuns: 80 });
});

void t.test("points made to agree at 0 in many subsets, yet on no common polynomial, are refused", async (t) => {
  await fc.assert(fc.asyncProperty(honest, fc.integer({ min: 1, max: 255 }), fc.nat(), async ({ threshold, xs, coefficients }, factor, start) => {
    fc.pre(xs.length > threshold);
    // P + factor * x * product(x - x_b): equal to P at 0 and on any t-1 chosen points, different everywhere else.
    const order = xs.map((_, index) => xs[(index + start) % xs.length]!);
    const base = order.slice(0, threshold - 1);
    const points = xs.map((x) => {
      const shift = base.reduce((product, b) => multiply(product, x ^ b), multiply(factor, x));
      return { x, y: evaluate(coefficients, x).map((byte) => byte ^ shift) };
    });
    t.equal(onOnePolynomial(points, threshold), false);
    t.equal(await degreeBelow(points, threshold), false);
  }), { numRuns: 80 });
});

void t.test("x = 0, duplicates and impossible thresholds are refused", async (t) => {
  const points = [1, 2, 3, 4].map((x) => ({ x, y: value(x) }));
  for (const x of [0, 256, Number.NaN, 2.5]) {
    await t.rejects(degreeBelow(points.with(3, { x, y: value(x) }), 2), { code: "SHARE_X_INVALID" });
    await t.rejects(offPolynomial(points.with(0, { x, y: value(x) }), 2), { code: "SHARE_X_INVALID" });
    await t.rejects(degreeBelow([{ x, y: value(1) }], 2), { code: "SHARE_X_INVALID" });
  }
  await t.rejects(degreeBelow(points.with(3, points[2]!), 2), { code: "SHARE_X_DUPLICATE" });
  for (const threshold of [0, 1, 256]) await t.rejects(degreeBelow(points, threshold), { code: "THRESHOLD_INVALID" });
  await t.rejects(degreeBelow(points.with(1, { x: 2, y: new Uint8Array(32) }), 2), { code: "SHARE_LENGTH" });
});

void t.test("wrong points are named exactly when the others outvote them: n >= t + 2e, e <= 2", async (t) => {
  await fc.assert(fc.asyncProperty(honest, fc.array(fc.nat(), { maxLength: 3 }), async ({ threshold, xs, coefficients }, seeds) => {
    const which = [...new Set(seeds.map((seed) => seed % xs.length))].sort((a, b) => a - b);
    const points = spoilt(at(xs, coefficients), which, 0x5a);
    const off = await offPolynomial(points, threshold);
    if (which.length === 0) t.strictSame(off, []);
    else if (which.length <= 2 && xs.length >= threshold + 2 * which.length) t.strictSame(off?.map(({ x }) => x), which.map((index) => xs[index]));
    else if (xs.length === threshold) t.strictSame(off, [], "t points always fit");
    else if (xs.length === threshold + 1) t.equal(off, null, "detected, but nobody can be named");
  }), { numRuns: 150 });
});

void t.test("three liars among nine are detected and not named: the search is bounded", async (t) => {
  const points = at([1, 2, 3, 4, 5, 6, 7, 8, 9], [value(7), value(9), value(11)]);
  t.strictSame((await offPolynomial(spoilt(points, [0, 4]), 3))?.map(({ x }) => x), [1, 5]);
  t.equal(await offPolynomial(spoilt(points, [0, 4, 8]), 3), null);
});

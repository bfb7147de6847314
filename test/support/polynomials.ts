import { multiply } from "../../agent/sharding/field.ts";
import type { Point } from "../../agent/sharding/shamir.ts";

/** An independent second opinion on GF(2^8) polynomials: evaluation and interpolation at any x, on public test values. */

function inverse(a: number): number {
  for (let b = 1; b < 256; b++) if (multiply(a, b) === 1) return b;
  throw new Error("zero has no inverse");
}

/** Value at `x` of the polynomials with these coefficient vectors, the constant one first. */
export function evaluate(coefficients: readonly Uint8Array[], x: number): Uint8Array {
  return coefficients.reduceRight((value, coefficient) => coefficient.map((byte, index) => byte ^ multiply(x, value[index]!)), new Uint8Array(coefficients[0]!.length));
}

/** Lagrange at any `x`. */
export function interpolate(points: readonly Point[], x: number): Uint8Array {
  const value = new Uint8Array(points[0]!.y.length);
  for (const point of points) {
    const factor = points.filter((other) => other !== point)
      .reduce((product, other) => multiply(product, multiply(x ^ other.x, inverse(point.x ^ other.x))), 1);
    point.y.forEach((byte, index) => { value[index]! ^= multiply(factor, byte); });
  }
  return value;
}

/** Whether all points lie on the polynomial through the first `t`: by its value at each x, not at 0. */
export function onOnePolynomial(points: readonly Point[], t: number): boolean {
  const base = points.slice(0, t);
  return points.slice(t).every(({ x, y }) => Buffer.compare(interpolate(base, x), y) === 0);
}

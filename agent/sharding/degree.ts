import { equalBytes, wipe } from "../runtime/secrets.ts";
import { interpolateAtZero, requireThreshold, requireXs, type Point } from "./shamir.ts";

/** More than two liars at once are not searched for: the sets to try grow as n choose e, and the site holds anyway. */
const mostNamed = 2;

/**
 * Whether one polynomial of degree below `t` passes through all `points` (always, if there are `t` or fewer).
 *
 * By `combine` alone, which only gives values at 0: keep the first t-1 points B and add each other point p
 * in turn; P_p is the one polynomial of degree < t through B and p. If all P_p(0) are equal, then any two of
 * these polynomials agree on B and at 0. Those are t different places, as no x is 0, so they are the same
 * polynomial, and it passes through every point. If one polynomial passes through all points, every P_p is it.
 */
export async function degreeBelow(points: readonly Point[], t: number): Promise<boolean> {
  requireThreshold(t);
  requireXs(points.map(({ x }) => x));
  const base = points.slice(0, t - 1);
  let value: Uint8Array | undefined;
  try {
    for (const point of points.slice(t - 1)) {
      const other = await interpolateAtZero([...base, point]);
      const equal = value === undefined || equalBytes(value, other);
      wipe(value);
      value = other;
      if (!equal) return false;
    }
    return true;
  } finally {
    wipe(value);
  }
}

/** Every choice of `size` of `items`. */
export function* choices<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  if (size === 0) {
    yield [];
    return;
  }
  for (const [index, item] of items.entries()) {
    for (const rest of choices(items.slice(index + 1), size - 1)) yield [item, ...rest];
  }
}

/**
 * The points that lie off the polynomial of degree below `t` that all others share: [] if none does, null if
 * the points do not determine it. With n points, e wrong ones are named if n >= t + 2e and e <= 2: two different
 * polynomials would then share at least n - 2e >= t points. It is a proof only if at most that many are wrong;
 * more that lie together could leave out an honest one.
 */
export async function offPolynomial(points: readonly Point[], t: number): Promise<readonly Point[] | null> {
  for (let wrong = 0; wrong <= mostNamed && t + 2 * wrong <= points.length; wrong++) {
    for (const suspects of choices(points, wrong)) {
      if (await degreeBelow(points.filter((point) => !suspects.includes(point)), t)) return suspects;
    }
  }
  return null;
}

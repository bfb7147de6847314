import { combine, split } from "shamir-secret-sharing";
import { secretBytes, secretCopy, wipe } from "../runtime/secrets.ts";
import { requireLength, ShardingError } from "./errors.ts";

/** A share, or any other value of a sharing: the polynomial's bytes `y` (16 or 32) at `x` in 1..255. */
export interface Point {
  readonly x: number;
  readonly y: Uint8Array;
}

/** Every x at which a polynomial is evaluated; 0 is where the secret is. */
const highestX = 255;

/** Refuses anything but different integers in 1..255. */
export function requireXs(xs: readonly number[]): void {
  for (const x of xs) {
    if (!Number.isInteger(x) || x < 1 || x > highestX) {
      // The library combines x = 0 without a word, and by it one holder chooses the key (custody.md §4 row 2).
      throw new ShardingError("SHARE_X_INVALID", `x is ${x}, not an integer in 1..${highestX}`);
    }
  }
  if (new Set(xs).size !== xs.length) throw new ShardingError("SHARE_X_DUPLICATE", `two shares have one x: ${xs.join(", ")}`);
}

/** The library cannot make or read a sharing of threshold 1, which would be no sharing. */
export function requireThreshold(threshold: number): void {
  if (!Number.isInteger(threshold) || threshold < 2 || threshold > highestX) {
    throw new ShardingError("THRESHOLD_INVALID", `the threshold is ${threshold}, not an integer in 2..${highestX}`);
  }
}

/** A key or shard is 32 bytes, a mask or check value 16. */
function requireValue(bytes: Uint8Array): void {
  if (bytes.length !== 16) requireLength(bytes, 32, "a value to share");
}

/** The library refuses Buffer by its constructor. */
function plainView(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

/**
 * Splits `secret` (16 or 32 bytes) with threshold `t` and returns the share of each of `xs`, in their order,
 * in secret memory that the caller wipes. The library deals at x's of its own shuffling, so it is asked for
 * all 255 and the wanted ones are taken (protocol.md §7).
 * Throws SHARE_LENGTH, THRESHOLD_INVALID, SHARE_X_INVALID, SHARE_X_DUPLICATE, SHARE_COUNT (fewer x's than `t`).
 */
export async function splitSecret(secret: Uint8Array, t: number, xs: readonly number[]): Promise<Uint8Array<ArrayBuffer>[]> {
  requireValue(secret);
  requireThreshold(t);
  requireXs(xs);
  if (xs.length < t) throw new ShardingError("SHARE_COUNT", `${xs.length} shares could never meet the threshold ${t}`);
  const every = await split(plainView(secret), highestX, t);
  try {
    return xs.map((x) => {
      const share = every.find((candidate) => candidate[secret.length] === x);
      if (share === undefined) throw new ShardingError("SHARE_X_INVALID", `the library dealt no share at x = ${x}`);
      // Byte by byte: `subarray` would leave a copy of the library's small array where `fill` does not reach.
      const copy = secretBytes(secret.length);
      copy.forEach((_, index) => { copy[index] = share[index] ?? 0; });
      return copy;
    });
  } finally {
    wipe(...every);
  }
}

/**
 * The value at 0 of the polynomial of least degree through `points`: Σ λ_i · y_i, in secret memory that the
 * caller wipes. Tells nothing about whether the points belong together: see {@link combineShares} and degree.ts.
 * Throws SHARE_COUNT (fewer than 2), SHARE_LENGTH, SHARE_X_INVALID, SHARE_X_DUPLICATE.
 */
export async function interpolateAtZero(points: readonly Point[]): Promise<Uint8Array<ArrayBuffer>> {
  const [first] = points;
  if (first === undefined || points.length < 2) throw new ShardingError("SHARE_COUNT", `${points.length} points determine nothing`);
  requireValue(first.y);
  for (const { y } of points) requireLength(y, first.y.length, "a share");
  requireXs(points.map(({ x }) => x));
  const labelled = points.map(({ x, y }) => {
    const share = secretBytes(y.length + 1);
    share.set(y);
    share[y.length] = x;
    return share;
  });
  let value: Uint8Array | undefined;
  try {
    value = await combine(labelled);
    return secretCopy(value);
  } finally {
    wipe(value, ...labelled);
  }
}

/**
 * The secret that exactly `t` shares hold, in secret memory that the caller wipes. Whether they are of one key,
 * epoch, attempt and record, and undamaged, only the caller can see (design §10): wrong shares give a wrong secret.
 * Throws SHARE_COUNT, SHARE_LENGTH, THRESHOLD_INVALID, SHARE_X_INVALID, SHARE_X_DUPLICATE.
 */
export async function combineShares(shares: readonly Point[], t: number): Promise<Uint8Array<ArrayBuffer>> {
  requireThreshold(t);
  if (shares.length !== t) throw new ShardingError("SHARE_COUNT", `${shares.length} shares for the threshold ${t}: exactly that many are combined`);
  return await interpolateAtZero(shares);
}

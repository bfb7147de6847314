import { timingSafeEqual } from "node:crypto";

/**
 * Memory for secrets. Typed arrays of 64 bytes or less live on the V8 heap and leave a copy behind at
 * their first native use (measured: ../shared/crypto.md §7), so a secret lives only in a view over an
 * explicit ArrayBuffer, and whoever makes one wipes it.
 */
export function secretBytes(length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(length));
}

/** Overwrites every view with zeros. */
export function wipe(...views: readonly (Uint8Array | undefined)[]): void {
  for (const view of views) view?.fill(0);
}

/** Copies bytes into secret memory; the caller still owns, and wipes, the original. */
export function secretCopy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = secretBytes(bytes.length);
  copy.set(bytes);
  return copy;
}

/** Constant-time comparison. Lengths are public. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

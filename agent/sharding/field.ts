import { requireLength } from "./errors.ts";
import { secretBytes } from "../runtime/secrets.ts";

/** GF(2^8) with the polynomial x^8 + x^4 + x^3 + x + 1 (0x11b): AES's field, and the Shamir library's. */

/**
 * Product of a public factor and a secret byte. Shift and reduce, no tables: neither a memory address nor
 * a branch depends on the secret (custody.md §3.1); the loop's length shows only the factor.
 */
export function multiply(factor: number, secret: number): number {
  let product = 0;
  let power = secret;
  for (let bits = factor; bits !== 0; bits >>= 1) {
    product ^= power & -(bits & 1);
    power = (power << 1) ^ (0x11b & -(power >> 7));
  }
  return product;
}

/** Sum (XOR) of equally long vectors, in secret memory that the caller wipes. */
export function sum(first: Uint8Array, ...rest: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const total = secretBytes(first.length);
  for (const vector of [first, ...rest]) {
    requireLength(vector, first.length, "a term of a sum");
    vector.forEach((byte, index) => { total[index] = (total[index] ?? 0) ^ byte; });
  }
  return total;
}

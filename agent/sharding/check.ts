import { createHmac } from "node:crypto";
import { concat, utf8 } from "../runtime/encoding.ts";
import { secretBytes } from "../runtime/secrets.ts";
import { requireLength } from "./errors.ts";
import { multiply } from "./field.ts";

/**
 * The random linear map R of protocol.md §7 (CHECK): 32 secret bytes -> 16. R is drawn only after every
 * dealer is bound to its deal by the transcript T, so a sub-share that is wrong by any non-zero amount
 * passes with probability 2^-128. R is public; what it maps is secret until a mask is added.
 */
export const checkRows = 16;
const checkColumns = 32;
const blockBytes = 32;

function u32(n: number): Uint8Array {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, n);
  return out;
}

function prefixed(text: string): Uint8Array {
  const bytes = utf8(text);
  return concat(u32(bytes.length), bytes);
}

/**
 * R, 16 x 32 bytes row by row, for one key of one transcript:
 * block i = HMAC-SHA-256(T, string("shardkeep/v1/check-matrix") ‖ string(keyId) ‖ u32(i)), i = 0 … 15,
 * string(s) = u32(length of s in UTF-8) ‖ UTF-8, integers big endian. T already names site, plan and attempt.
 * Throws SHARE_LENGTH unless `transcript` is 32 bytes.
 */
export function expandMatrix(transcript: Uint8Array, keyId: string): Uint8Array {
  requireLength(transcript, 32, "the transcript hash");
  const label = concat(prefixed("shardkeep/v1/check-matrix"), prefixed(keyId));
  const blocks = Array.from({ length: (checkRows * checkColumns) / blockBytes }, (_, index) =>
    createHmac("sha256", transcript).update(label).update(u32(index)).digest());
  return concat(...blocks);
}

/**
 * R · share: 16 bytes in secret memory, which the caller wipes or masks. `share` is 32 bytes, `matrix` 512.
 * Throws SHARE_LENGTH for other sizes.
 */
export function applyMatrix(matrix: Uint8Array, share: Uint8Array): Uint8Array<ArrayBuffer> {
  requireLength(matrix, checkRows * checkColumns, "the check matrix");
  requireLength(share, checkColumns, "the share");
  const image = secretBytes(checkRows);
  for (let row = 0; row < checkRows; row++) {
    let value = 0;
    for (let column = 0; column < checkColumns; column++) {
      value ^= multiply(matrix[row * checkColumns + column] ?? 0, share[column] ?? 0);
    }
    image[row] = value;
  }
  return image;
}

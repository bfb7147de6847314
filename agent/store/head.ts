import { createHash } from "node:crypto";
import { concat, utf8 } from "../runtime/encoding.ts";
import { equalBytes } from "../runtime/secrets.ts";
import type { Head } from "./store.ts";

/**
 * A head as 88 bytes: "SKSTORE1" ‖ u64 commit ‖ u64 records ‖ xor (32) ‖ SHA-256 of all before, integers big
 * endian. The digest makes one flipped bit an invalid head instead of another commit's.
 */
const magic = utf8("SKSTORE1");
const bodyBytes = 56;
export const headBytes = bodyBytes + 32;

function sha256(bytes: Uint8Array): Uint8Array {
  return createHash("sha256").update(bytes).digest();
}

export function encodeHead({ commit, records, xor }: Head): Uint8Array<ArrayBuffer> {
  const numbers = new DataView(new ArrayBuffer(16));
  numbers.setBigUint64(0, BigInt(commit));
  numbers.setBigUint64(8, BigInt(records));
  const body = concat(magic, new Uint8Array(numbers.buffer), xor);
  return concat(body, sha256(body));
}

/** Null for anything that {@link encodeHead} does not write. */
export function decodeHead(bytes: Uint8Array): Head | null {
  if (bytes.length !== headBytes) return null;
  // Not slice(): LevelDB hands out Buffers, whose slice is a view.
  const body = Uint8Array.from(bytes.subarray(0, bodyBytes));
  if (!equalBytes(sha256(body), bytes.subarray(bodyBytes)) || !equalBytes(body.subarray(0, 8), magic)) return null;
  const numbers = new DataView(body.buffer);
  return { commit: Number(numbers.getBigUint64(8)), records: Number(numbers.getBigUint64(16)), xor: body.subarray(24) };
}

export function sameHead(a: Head, b: Head): boolean {
  return a.commit === b.commit && a.records === b.records && equalBytes(a.xor, b.xor);
}

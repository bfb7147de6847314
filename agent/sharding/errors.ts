import { ShardkeepError } from "../runtime/errors.ts";

export type ShardingCode =
  | "SHARE_COUNT" // not exactly the number that the threshold asks for
  | "SHARE_LENGTH" // not the length that this value has
  | "SHARE_X_DUPLICATE"
  | "SHARE_X_INVALID" // not an integer in 1..255
  | "THRESHOLD_INVALID"; // not an integer in 2..255

/** An input that must not reach the arithmetic. Never carries a share's bytes. */
export class ShardingError extends ShardkeepError<ShardingCode> {}

/** Refuses anything but exactly `length` bytes. */
export function requireLength(bytes: Uint8Array, length: number, what: string): void {
  if (bytes.length !== length) throw new ShardingError("SHARE_LENGTH", `${what} is ${bytes.length} bytes, not ${length}`);
}

import { ShardkeepError } from "../runtime/errors.ts";

/** Durable local state: records of bytes by name. Read from memory, written in whole commits. */
export interface Store {
  /** A copy of the record, or undefined. */
  get(key: string): Uint8Array | undefined;
  /** Copies of all records whose key begins with `prefix`, in code unit order of the keys. */
  entries(prefix: string): readonly (readonly [string, Uint8Array])[];
  /**
   * Makes all `changes`, in order, or none. Resolved: durable, and in `get` and `head`. Rejected: memory is as it
   * was; with STORE_FAILED the disk may hold either state, so every later commit is refused until the
   * store is opened again, which finds out. Calls are worked off one after the other.
   * Throws STORE_KEY_INVALID, STORE_FAILED, STORE_CLOSED.
   */
  commit(changes: readonly Change[]): Promise<void>;
  readonly head: Head;
  /** Waits for commits under way and lets go of the folder. */
  close(): Promise<void>;
}

/** Keys are not empty and well-formed Unicode; the value is copied. */
export type Change = { readonly put: string; readonly value: Uint8Array } | { readonly del: string };

/** What a store must contain: checked whenever it is opened. */
export interface Head {
  /** Number of the last commit; a new store is at 0. */
  readonly commit: number;
  /** How many records there are. */
  readonly records: number;
  /** XOR of SHA-256(u32(key length) ‖ key ‖ value) over all records, 32 bytes. Finds damage, not forgery. */
  readonly xor: Uint8Array;
}

export type StoreCode =
  | "STORE_CLOSED"
  | "STORE_DAMAGED" // not what was committed: never used, never mended
  | "STORE_EXISTS"
  | "STORE_FAILED" // a commit failed; the disk may hold it or not
  | "STORE_KEY_INVALID"
  | "STORE_LOCKED" // another process has it
  | "STORE_MISSING"
  | "STORE_UNAVAILABLE"; // rights, space, file handles: says nothing about the content

export class StoreError extends ShardkeepError<StoreCode> {}

import { createHash } from "node:crypto";
import { utf8 } from "../runtime/encoding.ts";
import { StoreError, type Change, type Head } from "./store.ts";

/** A commit worked out but not made: the last word on each key (undefined: gone), and the head it leads to. */
export interface Prepared {
  readonly changes: ReadonlyMap<string, Uint8Array | undefined>;
  readonly head: Head;
}

function fingerprint(key: string, value: Uint8Array): Uint8Array {
  const name = utf8(key);
  const length = new DataView(new ArrayBuffer(4));
  length.setUint32(0, name.length);
  return createHash("sha256").update(new Uint8Array(length.buffer)).update(name).update(value).digest();
}

function requireKey(key: string): void {
  // The empty key is the head's; a lone surrogate would be written as U+FFFD, that is, under another key.
  if (key === "" || !key.isWellFormed()) {
    throw new StoreError("STORE_KEY_INVALID", `${JSON.stringify(key)} cannot be a key: keys are not empty and well-formed Unicode`);
  }
}

/** The changes with copies of their values: a caller may wipe its arrays while the commit still waits. */
export function copied(changes: readonly Change[]): readonly Change[] {
  return changes.map((change) => ("put" in change ? { put: change.put, value: Uint8Array.from(change.value) } : change));
}

/** The records in memory and the arithmetic of their head. No I/O. */
export class Records {
  readonly #values = new Map<string, Uint8Array>();
  #head: Head = { commit: 0, records: 0, xor: new Uint8Array(32) };

  /** Copies, so that nobody's array is also the store's memory. */
  get(key: string): Uint8Array | undefined {
    return this.#values.get(key)?.slice();
  }

  entries(prefix: string): (readonly [string, Uint8Array])[] {
    return [...this.#values].filter(([key]) => key.startsWith(prefix))
      .map(([key, value]) => [key, value.slice()] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1));
  }

  get head(): Head {
    return { ...this.#head, xor: this.#head.xor.slice() };
  }

  /** What `changes` would do; keeps their arrays. Throws STORE_KEY_INVALID; changes nothing. */
  prepare(changes: readonly Change[]): Prepared {
    const last = new Map<string, Uint8Array | undefined>();
    for (const change of changes) {
      const key = "put" in change ? change.put : change.del;
      requireKey(key);
      last.set(key, "put" in change ? change.value : undefined);
    }
    const { commit, xor } = this.head;
    let { records } = this.#head;
    const toggle = (key: string, value: Uint8Array | undefined, count: number) => {
      if (value === undefined) return;
      records += count;
      fingerprint(key, value).forEach((byte, index) => { xor[index] = (xor[index] ?? 0) ^ byte; });
    };
    for (const [key, value] of last) {
      toggle(key, this.#values.get(key), -1);
      toggle(key, value, 1);
    }
    return { changes: last, head: { commit: commit + 1, records, xor } };
  }

  apply({ changes, head }: Prepared): void {
    for (const [key, value] of changes) {
      if (value === undefined) this.#values.delete(key);
      else this.#values.set(key, value);
    }
    this.#head = head;
  }

  /** Takes over what a disk held: the counts are worked out anew, the commit number is the one found there. */
  static of(found: ReadonlyMap<string, Uint8Array>, commit: number): Records {
    const records = new Records();
    const prepared = records.prepare(copied([...found].map(([put, value]) => ({ put, value }))));
    records.apply({ ...prepared, head: { ...prepared.head, commit } });
    return records;
  }
}

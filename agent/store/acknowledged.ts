import { open, type FileHandle } from "node:fs/promises";
import { concat } from "../runtime/encoding.ts";
import { decodeHead, encodeHead, headBytes } from "./head.ts";
import type { Head } from "./store.ts";

/**
 * The head of the last commit that was reported as done, outside LevelDB. LevelDB takes a damaged or missing end
 * of its log for a crash and opens an *older*, consistent state; only from outside can that be seen.
 *
 * One file of two slots, commit n in slot n mod 2, each in a disk block of its own: a write that tears leaves
 * the previous commit's slot whole. Overwriting in place keeps it at one fdatasync.
 */
const slotBytes = 4096;

export class Acknowledged {
  readonly #file: FileHandle;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Throws the errors of open(2): EEXIST … */
  static async create(path: string, head: Head): Promise<void> {
    const file = await open(path, "wx", 0o600);
    try {
      await file.write(concat(encodeHead(head), new Uint8Array(2 * slotBytes - headBytes)));
      await file.sync();
    } finally {
      await file.close();
    }
  }

  /** Throws the errors of open(2): ENOENT, EACCES … */
  static async open(path: string): Promise<Acknowledged> {
    return new Acknowledged(await open(path, "r+"));
  }

  /** The newest whole slot, null if there is none. */
  async read(): Promise<Head | null> {
    const bytes = new Uint8Array(2 * slotBytes);
    await this.#file.read(bytes, 0, bytes.length, 0);
    const heads = [0, slotBytes].map((start) => decodeHead(bytes.subarray(start, start + headBytes)));
    return heads.reduce((newest, head) => (head !== null && (newest === null || head.commit > newest.commit) ? head : newest));
  }

  /** Durable when resolved. */
  async write(head: Head): Promise<void> {
    await this.#file.write(encodeHead(head), 0, headBytes, (head.commit % 2) * slotBytes);
    await this.#file.datasync();
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

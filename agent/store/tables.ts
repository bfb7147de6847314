import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/**
 * LevelDB's tables (*.ldb), checked before LevelDB sees them: it has a checksum in every block and does not look
 * at it unless asked, classic-level cannot ask, and one flipped bit then ends the whole process in an assertion
 * (measured) instead of an error. Format: doc/table_format.md of LevelDB; blocks are stored uncompressed here.
 */
interface Handle { readonly offset: number; readonly size: number }

const footerBytes = 48;
/** Type of compression and checksum, behind each block. */
const trailerBytes = 5;
const magic = "57fb808b247547db";

/** CRC-32C (RFC 3720 §B.4), bit by bit: a store is small. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0x82f63b78 & -(crc & 1));
  }
  return ~crc >>> 0;
}

/** LevelDB keeps a rotated and shifted checksum, so that it may hold for data that has checksums in it. */
function masked(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** Reads base-128 numbers, least part first, one after another. Reading past the end gives NaN. */
class Varints {
  readonly #bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  next(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#bytes[this.at++] ?? Number.NaN;
      value += (byte & 127) * scale;
      if (!(byte >= 128)) return Number.isNaN(byte) ? byte : value;
    }
  }

  handle(): Handle {
    return { offset: this.next(), size: this.next() };
  }
}

/** The block's content, null unless it is inside the file and has its checksum. */
function block(table: Uint8Array, { offset, size }: Handle): Uint8Array | null {
  const end = offset + size;
  if (!(end + trailerBytes <= table.length)) return null;
  const trailer = new DataView(table.buffer, table.byteOffset + end, trailerBytes);
  return trailer.getUint32(1, true) === masked(crc32c(table.subarray(offset, end + 1))) ? table.subarray(offset, end) : null;
}

/** The values of an index block, each the place of another block. */
function handlesIn(index: Uint8Array): Handle[] {
  const handles: Handle[] = [];
  const restarts = new DataView(index.buffer, index.byteOffset + index.length - 4, 4).getUint32(0, true);
  const entries = new Varints(index, 0);
  while (entries.at < index.length - 4 * (restarts + 1)) {
    entries.next(); // bytes shared with the previous key
    const keyBytes = entries.next();
    const valueBytes = entries.next();
    handles.push(new Varints(index, entries.at + keyBytes).handle());
    entries.at += keyBytes + valueBytes;
  }
  return handles;
}

/**
 * Whether every block has its checksum. A file without the magic number at its end passes: it is either what a crash
 * left of a table that nothing refers to yet, or LevelDB itself refuses it.
 */
function intact(table: Uint8Array): boolean {
  const footer = table.subarray(-footerBytes);
  if (!Buffer.from(footer).toString("hex").endsWith(magic)) return true;
  const numbers = new Varints(footer, 0);
  const indices = [numbers.handle(), numbers.handle()].map((handle) => block(table, handle));
  return indices.every((index) => index !== null && handlesIn(index).every((handle) => block(table, handle) !== null));
}

/**
 * The name of a damaged table in `folder`, undefined if there is none; changes nothing. One that vanishes meanwhile
 * is no damage: another process is at work, which LevelDB's lock will say; a table that is missing, LevelDB misses.
 */
export async function damagedTable(folder: string): Promise<string | undefined> {
  for (const name of await readdir(folder)) {
    if (!/\.(ldb|sst)$/.test(name)) continue;
    const table = await readFile(join(folder, name)).catch((error: unknown) => {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
      throw error;
    });
    if (table !== undefined && !intact(table)) return name;
  }
  return undefined;
}

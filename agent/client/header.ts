import { z } from "zod";
import { ciphertextOverhead } from "../protocol/ciphertext.ts";
import { base64url, id, label, resource } from "../protocol/primitives.ts";
import { utf8 } from "../runtime/encoding.ts";
import { FileError } from "./errors.ts";

/**
 * The first line of a sealed file (docs/file-format.md §1): JSON that a person can read with `head -1`, so that
 * it is known which key and resource to ask for. Nothing in it is secret, nothing in it is believed: all of it
 * is authenticated with every chunk, and the data key unwraps under this key and resource alone.
 */
export const fileHeader = z.strictObject({
  format: z.literal("shardkeep-file/1"),
  site: id,
  key: label,
  resource,
  /** Plaintext bytes in every chunk but the last. */
  chunk: z.literal(65_536),
  /** The file's own 32-byte key, wrapped under the master key. */
  dataKey: base64url(32 + ciphertextOverhead),
});
export type FileHeader = z.infer<typeof fileHeader>;

export const dataKeyBytes = 32;
const newline = 0x0a;
/** A longer first line is no header of ours. */
const mostHeaderBytes = 1024;

/** The line, its newline included: 1024 bytes at most. */
export function encodeHeader(header: FileHeader): Uint8Array {
  return utf8(`${JSON.stringify(header)}\n`);
}

function invalid(what: string, cause?: unknown): FileError {
  return new FileError("FILE_HEADER_INVALID", `this is not a sealed file: ${what}`, { cause, remedy: "give a file that `shardkeep seal` wrote, complete from its first byte" });
}

function parseHeader(line: Uint8Array): FileHeader {
  let raw: unknown;
  try {
    raw = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(line));
  } catch (cause) {
    throw invalid("its first line is not JSON", cause);
  }
  const parsed = fileHeader.safeParse(raw);
  if (!parsed.success) throw invalid(parsed.error.issues.map(({ path, message }) => `${path.join(".") || "the header"}: ${message}`).join("; "), parsed.error);
  return parsed.data;
}

export interface HeadedSource {
  readonly header: FileHeader;
  /** The line as it stood, newline included: what the chunks authenticate. */
  readonly line: Uint8Array;
  /** All that follows the line. To be read once, to its end or to `return`, which lets go of the source. */
  readonly rest: AsyncIterable<Uint8Array>;
}

/** Reads the header off `source` and no further than the piece it ends in. Throws FILE_HEADER_INVALID. */
export async function readHeader(source: AsyncIterable<Uint8Array>): Promise<HeadedSource> {
  const pieces = source[Symbol.asyncIterator]();
  const line = new Uint8Array(mostHeaderBytes);
  let length = 0;
  for (;;) {
    const next = await pieces.next();
    if (next.done === true) throw invalid(length === 0 ? "it is empty" : "it ends in its first line");
    const end = next.value.indexOf(newline);
    const part = end === -1 ? next.value : next.value.subarray(0, end + 1);
    if (length + part.length > mostHeaderBytes) {
      await pieces.return?.();
      throw invalid("its first line is too long");
    }
    line.set(part, length);
    length += part.length;
    if (end === -1) continue;
    const own = line.slice(0, length);
    try {
      return { header: parseHeader(own), line: own, rest: following(next.value.subarray(end + 1), pieces) };
    } catch (error) {
      await pieces.return?.();
      throw error;
    }
  }
}

async function* following(first: Uint8Array, pieces: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield first;
    for (let next = await pieces.next(); next.done !== true; next = await pieces.next()) yield next.value;
  } finally {
    await pieces.return?.();
  }
}

import { createCipheriv, createDecipheriv } from "node:crypto";
import { canonical } from "../protocol/canonical.ts";
import { concat } from "../runtime/encoding.ts";
import { FileError } from "./errors.ts";
import type { FileHeader } from "./header.ts";

/**
 * The chunks of a sealed file (docs/file-format.md §2): STREAM of Hoang, Reyhanitabar, Rogaway and Vizár
 * (CRYPTO 2015) with AES-256-GCM. The nonce counts the chunks and marks the last one, so chunks that are cut
 * off, exchanged, repeated or appended do not open. Memory is two chunks, whatever the file's size.
 */
const tagBytes = 16;

/** 11 bytes of counter, big endian, and one that is 1 for the last chunk. The data key is the file's own. */
function nonceOf(index: number, last: boolean): Uint8Array {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setBigUint64(3, BigInt(index));
  nonce[11] = last ? 1 : 0;
  return nonce;
}

function aadOf(header: FileHeader, line: Uint8Array): Uint8Array {
  return canonical("file", header.site, { header: line });
}

interface Block {
  /** Valid until the next block is asked for. */
  readonly bytes: Uint8Array;
  readonly index: number;
  readonly last: boolean;
}

/** Cuts pieces of any size into blocks of `size`; the last is shorter or full, and empty only if all is. */
async function* blocks(source: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Block> {
  const buffer = new Uint8Array(size);
  let index = 0;
  let filled = 0;
  for await (const piece of source) {
    for (let at = 0; at < piece.length;) {
      if (filled === size) {
        yield { bytes: buffer, index, last: false };
        index += 1;
        filled = 0;
      }
      const part = piece.subarray(at, at + size - filled);
      buffer.set(part, filled);
      filled += part.length;
      at += part.length;
    }
  }
  yield { bytes: buffer.subarray(0, filled), index, last: true };
}

/** The chunks for `source`, each ciphertext ‖ tag(16). `line` is the header as it is written. */
export async function* sealChunks(dataKey: Uint8Array, header: FileHeader, line: Uint8Array, source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const aad = aadOf(header, line);
  for await (const { bytes, index, last } of blocks(source, header.chunk)) {
    const cipher = createCipheriv("aes-256-gcm", dataKey, nonceOf(index, last)).setAAD(aad);
    yield concat(cipher.update(bytes), cipher.final(), cipher.getAuthTag());
  }
}

/**
 * The plaintext of the chunks in `source`: a chunk's is given out only after its tag was right, but whether the
 * file is complete is known only at the end. Throws FILE_DAMAGED.
 */
export async function* openChunks(dataKey: Uint8Array, header: FileHeader, line: Uint8Array, source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const aad = aadOf(header, line);
  for await (const { bytes, index, last } of blocks(source, header.chunk + tagBytes)) {
    if (bytes.length < tagBytes) throw damaged(index);
    // An empty chunk is the only one: else a file of whole chunks had two forms.
    if (bytes.length === tagBytes && index > 0) throw damaged(index);
    const decipher = createDecipheriv("aes-256-gcm", dataKey, nonceOf(index, last), { authTagLength: tagBytes });
    decipher.setAAD(aad).setAuthTag(bytes.subarray(-tagBytes));
    const unproven = decipher.update(bytes.subarray(0, -tagBytes));
    try {
      decipher.final();
    } catch (cause) {
      unproven.fill(0);
      throw damaged(index, cause);
    }
    yield unproven;
  }
}

function damaged(index: number, cause?: unknown): FileError {
  return new FileError("FILE_DAMAGED", `chunk ${index + 1} is not what was sealed: the file was cut, changed, or put together of others`, { cause, remedy: "copy the file again from where it was sealed" });
}

import { createHash } from "node:crypto";
import { ShardkeepError } from "../runtime/errors.ts";

/**
 * The one encoding of everything that is signed, hashed or authenticated (protocol.md §1): type tag and
 * site first, every part preceded by its kind and length, so that no two structures share an encoding.
 *
 *   structure = string(tag) string(site) value
 *   value     = 'n' | 't' | 'f' | 'i' string-body(decimal) | 's' string-body | 'b' bytes-body
 *             | 'a' u32(count) value… | 'o' u32(count) (string(key) value)…      keys in code unit order
 *   body      = u32(length, big endian) bytes
 *
 * Numbers are safe integers only; strings are well-formed Unicode (a lone surrogate would share the
 * encoding of U+FFFD); bytes are Uint8Array and distinct from every string.
 */
export type Value = null | boolean | number | string | Uint8Array | readonly Value[] | { readonly [key: string]: Value | undefined };

export class EncodingError extends ShardkeepError<"ENCODING_INVALID"> {}

const lengthBytes = 4;

/** One growing buffer, used again and again: an array for each of the many short parts is most of the cost of a hash. */
class Writer {
  #buffer = Buffer.allocUnsafeSlow(4096);
  #at = 0;

  begin(): void {
    this.#at = 0;
  }

  /** A kind, the length of what follows, and that. */
  text(kind: "s" | "i", value: string): void {
    // Nothing is longer than three bytes a code unit in UTF-8.
    this.#reserve(1 + lengthBytes + 3 * value.length);
    this.kind(kind);
    const length = this.#buffer.write(value, this.#at + lengthBytes, "utf8");
    this.count(length);
    this.#at += length;
  }

  bytes(value: Uint8Array): void {
    this.#reserve(1 + lengthBytes + value.length);
    this.kind("b");
    this.count(value.length);
    this.#buffer.set(value, this.#at);
    this.#at += value.length;
  }

  kind(kind: string): void {
    this.#reserve(1 + lengthBytes);
    this.#at = this.#buffer.writeUInt8(kind.charCodeAt(0), this.#at);
  }

  count(n: number): void {
    this.#at = this.#buffer.writeUInt32BE(n, this.#at);
  }

  end(): Uint8Array<ArrayBuffer> {
    const whole = new Uint8Array(new ArrayBuffer(this.#at));
    whole.set(this.#buffer.subarray(0, this.#at));
    return whole;
  }

  #reserve(more: number): void {
    if (this.#at + more <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * this.#buffer.length, this.#at + more));
    larger.set(this.#buffer);
    this.#buffer = larger;
  }
}

/** Nothing that is encoded is secret, and nobody else runs in between. */
const writer = new Writer();

function writeText(to: Writer, value: string): void {
  if (!value.isWellFormed()) throw new EncodingError("ENCODING_INVALID", "a string holds a lone surrogate");
  to.text("s", value);
}

function write(to: Writer, value: Value): void {
  if (value === null) to.kind("n");
  else if (typeof value === "boolean") to.kind(value ? "t" : "f");
  else if (typeof value === "string") writeText(to, value);
  else if (typeof value === "number") {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) throw new EncodingError("ENCODING_INVALID", "a number is not a safe integer");
    to.text("i", String(value));
  } else if (value instanceof Uint8Array) to.bytes(value);
  else if (Array.isArray(value)) {
    const items = value as readonly Value[];
    to.kind("a");
    to.count(items.length);
    for (const item of items) write(to, item);
  } else {
    // An absent optional field and an undefined one are the same field.
    const entries = Object.entries(value).filter((entry): entry is [string, Value] => entry[1] !== undefined);
    entries.sort(([a], [b]) => (a < b ? -1 : 1));
    to.kind("o");
    to.count(entries.length);
    for (const [key, item] of entries) {
      writeText(to, key);
      write(to, item);
    }
  }
}

/** Encodes `value` under its type tag and site. */
export function canonical(tag: string, site: string, value: Value): Uint8Array<ArrayBuffer> {
  writer.begin();
  writeText(writer, `shardkeep/v1/${tag}`);
  writeText(writer, site);
  write(writer, value);
  return writer.end();
}

/** SHA-256 over {@link canonical}: 32 bytes. */
export function digest(tag: string, site: string, value: Value): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash("sha256").update(canonical(tag, site, value)).digest());
}

import { createHash } from "node:crypto";
import { ShardkeepError } from "../runtime/errors.ts";
import { concat, utf8 } from "../runtime/encoding.ts";

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

function u32(n: number): Uint8Array {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, n);
  return out;
}

function body(kind: string, bytes: Uint8Array): Uint8Array[] {
  return [utf8(kind), u32(bytes.length), bytes];
}

function text(value: string): Uint8Array[] {
  if (!value.isWellFormed()) throw new EncodingError("ENCODING_INVALID", "a string holds a lone surrogate");
  return body("s", utf8(value));
}

function parts(value: Value): Uint8Array[] {
  if (value === null) return [utf8("n")];
  if (typeof value === "boolean") return [utf8(value ? "t" : "f")];
  if (typeof value === "string") return text(value);
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) throw new EncodingError("ENCODING_INVALID", "a number is not a safe integer");
    return body("i", utf8(String(value)));
  }
  if (value instanceof Uint8Array) return body("b", value);
  if (Array.isArray(value)) {
    const items = value as readonly Value[];
    return [utf8("a"), u32(items.length), ...items.flatMap(parts)];
  }
  // An absent optional field and an undefined one are the same field.
  const entries = Object.entries(value).filter((entry): entry is [string, Value] => entry[1] !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return [utf8("o"), u32(entries.length), ...entries.flatMap(([key, item]) => [...text(key), ...parts(item)])];
}

/** Encodes `value` under its type tag and site. */
export function canonical(tag: string, site: string, value: Value): Uint8Array<ArrayBuffer> {
  return concat(...text(`shardkeep/v1/${tag}`), ...text(site), ...parts(value));
}

/** SHA-256 over {@link canonical}: 32 bytes. */
export function digest(tag: string, site: string, value: Value): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash("sha256").update(canonical(tag, site, value)).digest());
}

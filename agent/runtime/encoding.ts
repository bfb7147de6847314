/** Bytes as text on the wire: base64url without padding (RFC 4648 §5), one spelling for one value. */
export function toBase64url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64url");
}

/**
 * The inverse of {@link toBase64url}; null for anything that is not the one canonical spelling.
 * Never for secrets: text cannot be wiped.
 */
export function fromBase64url(text: string): Uint8Array<ArrayBuffer> | null {
  const bytes = Buffer.from(text, "base64url");
  if (bytes.toString("base64url") !== text) return null;
  const copy = new Uint8Array(new ArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}

/** Bytes of text whose form a schema has checked before; none where it is not the canonical spelling of any. */
export function bytesOf(text: string): Uint8Array {
  return fromBase64url(text) ?? new Uint8Array();
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(new ArrayBuffer(parts.reduce((sum, part) => sum + part.length, 0)));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

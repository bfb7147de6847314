import { fromBase64url, toBase64url } from "../runtime/encoding.ts";
import type { Sealed } from "./primitives.ts";
import { open, seal, SealError, type Recipient } from "./seal.ts";

/** An HPKE single shot as it stands in JSON: the texts of {@link seal} and {@link open}. */

function bytes(text: string, what: string): Uint8Array {
  const decoded = fromBase64url(text);
  if (decoded === null) throw new SealError("SEAL_INVALID", `${what} is not base64url`);
  return decoded;
}

/** Seals `plaintext` to the point `recipient` (base64url of 65 bytes). Throws SEAL_INVALID if it is none. */
export function sealToText(recipient: string, info: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Sealed {
  const { enc, ct } = seal(bytes(recipient, "the recipient"), info, aad, plaintext);
  return { enc: toBase64url(enc), ct: toBase64url(ct) };
}

/** The plaintext, in secret memory that the caller wipes. Throws SEAL_INVALID if it does not open. */
export function openText(recipient: Recipient, sealed: Sealed, info: Uint8Array, aad: Uint8Array): Uint8Array<ArrayBuffer> {
  return open(recipient, bytes(sealed.enc, "the encapsulated key"), info, aad, bytes(sealed.ct, "the sealed text"));
}

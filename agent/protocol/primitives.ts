import { z } from "zod";
import { fromBase64url } from "../runtime/encoding.ts";

/** The name of a box, client or coordinator; one name space, also a certificate's CN (design §5). */
export const id = z.string().regex(/^[a-z0-9-]{1,32}$/, "1 to 32 of a-z, 0-9 and -");

/** The name of a key, person or role; same alphabet. */
export const label = id;

/** What an operation is about: a path of segments without wildcards, like `payroll/2026/march`. */
export const resource = z.string().max(200).regex(/^[A-Za-z0-9._@+-]+(?:\/[A-Za-z0-9._@+-]+)*$/, "a path of letters, digits and ._@+-");

/** Exactly `length` bytes as canonical base64url. */
export const base64url = (length: number) =>
  z.string().max(Math.ceil(length * 4 / 3)).refine((text) => fromBase64url(text)?.length === length, `base64url of exactly ${length} bytes`);

/** At most `max` bytes as canonical base64url. */
export const base64urlUpTo = (max: number) =>
  z.string().max(Math.ceil(max * 4 / 3)).refine((text) => fromBase64url(text) !== null, `base64url of at most ${max} bytes`);

/** SHA-256. */
export const hash = base64url(32);
/** Uncompressed P-256 point, 04 ‖ X ‖ Y (SEC 1 §2.3.3). */
export const publicKey = base64url(65);
/** ES256 signature, r ‖ s (RFC 7518 §3.4). */
export const signature = base64url(64);
/** 128 random bits: requests, boots, nonces. */
export const random128 = base64url(16);
/** An HPKE single shot: encapsulated key and ciphertext with tag (RFC 9180 §6.1). */
export const sealedUpTo = (max: number) => z.strictObject({ enc: publicKey, ct: base64urlUpTo(max + 16) });
export type Sealed = z.infer<ReturnType<typeof sealedUpTo>>;

/** A share's x-coordinate: 0 would choose the key, GF(2^8) ends at 255. */
export const shareX = z.int().min(1).max(255);
/** An epoch or attempt number (protocol.md §7: at most last + 1000, checked where the last is known). */
export const counter = z.int().min(1).max(2 ** 31);

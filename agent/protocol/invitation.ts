import { createCipheriv, createDecipheriv, createHash, createHmac, hkdfSync } from "node:crypto";
import { z } from "zod";
import { bytesOf, concat, toBase64url, utf8 } from "../runtime/encoding.ts";
import { ShardkeepError } from "../runtime/errors.ts";
import { equalBytes, secretBytes, wipe } from "../runtime/secrets.ts";
import { canonical } from "./canonical.ts";
import { boxAnswer, boxRequest } from "./joining.ts";
import { base64url, base64urlUpTo } from "./primitives.ts";

/**
 * Joining over the network by a code that is good once (design §6). The code carries the beginning of the site
 * authority's fingerprint, so the box knows whom it joins, and a secret under which everything that is said is sealed:
 * whoever stands between them sees lengths, and can only keep them apart.
 */
export class InvitationError extends ShardkeepError<"CODE_INVALID" | "FRAME_INVALID"> {}

const authorityBytes = 10;
/** 80 bits that live an hour: nobody guesses them online, nor from what went over the wire. */
export const secretLength = 10;
const tagBytes = 16;
/** Crockford's base32: no I, L, O, U. */
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const codeLength = 35;
const groupLength = 5;
/** The largest frame, as text: an answer brings the whole site record. */
export const mostFrame = 1 << 20;

/** The first 10 bytes of SHA-256 of the authority's key as the record names it. */
function authorityName(authority: string): Uint8Array {
  return new Uint8Array(createHash("sha256").update(authority).digest().subarray(0, authorityBytes));
}

/** 15 bits by which a slip of the hand is noticed before anything is sent. */
function checkBits(payload: Uint8Array): number {
  return createHash("sha256").update("shardkeep/v1/code-check").update(payload).digest().readUInt16BE(0) >> 1;
}

/** Seven groups of five, for reading aloud: authority (80 bits) ‖ secret (80 bits) ‖ check (15 bits). */
export function writeCode(authority: string, secret: Uint8Array): string {
  const payload = concat(authorityName(authority), secret);
  try {
    let bits = 0n;
    for (const byte of payload) bits = (bits << 8n) | BigInt(byte);
    bits = (bits << 15n) | BigInt(checkBits(payload));
    let text = "";
    for (let i = codeLength - 1; i >= 0; i--) text += alphabet[Number((bits >> BigInt(5 * i)) & 31n)] ?? "";
    return text.match(new RegExp(`.{${groupLength}}`, "g"))?.join("-") ?? "";
  } finally {
    wipe(payload);
  }
}

export interface Invitation {
  /** Whether this is the authority that the code names. */
  readonly isAuthority: (key: string) => boolean;
  /** 10 bytes. */
  readonly secret: Uint8Array<ArrayBuffer>;
}

/** Takes a code as somebody typed it: any case, with or without dashes and blanks, O for 0, I and L for 1. Throws CODE_INVALID. */
export function readCode(typed: string): Invitation {
  const text = typed.toUpperCase().replace(/[\s-]/g, "").replaceAll("O", "0").replace(/[IL]/g, "1");
  const invalid = new InvitationError("CODE_INVALID", "this is no code of `shardkeep site invite`: a character is missing or wrong", { remedy: "type it again: seven groups of five" });
  if (text.length !== codeLength) throw invalid;
  let bits = 0n;
  for (const character of text) {
    const value = alphabet.indexOf(character);
    if (value < 0) throw invalid;
    bits = (bits << 5n) | BigInt(value);
  }
  const check = Number(bits & 0x7fffn);
  const payload = secretBytes(authorityBytes + secretLength);
  for (let i = payload.length - 1, rest = bits >> 15n; i >= 0; i--, rest >>= 8n) payload[i] = Number(rest & 0xffn);
  try {
    if (checkBits(payload) !== check) throw invalid;
    const authority = payload.slice(0, authorityBytes);
    const secret = secretBytes(secretLength);
    secret.set(payload.subarray(authorityBytes));
    return { secret, isAuthority: (key) => equalBytes(authorityName(key), authority) };
  } finally {
    wipe(payload);
  }
}

/** What the coordinator finds an invitation by: it says nothing of the secret, 8 bytes as base64url. */
export function invitationId(secret: Uint8Array): string {
  return toBase64url(createHmac("sha256", secret).update("shardkeep/v1/invitation").digest().subarray(0, 8));
}

/** HPKE info of a code on its way to the administrator: the broker is not to read it. */
export function invitationContext(site: string, box: string): Uint8Array {
  return canonical("invitation", site, { box });
}

export const frame = z.strictObject({ v: z.literal(1), id: base64url(8), iv: base64url(12), ct: base64urlUpTo(mostFrame) });
export type Frame = z.infer<typeof frame>;

export const joinAsk = z.strictObject({ request: boxRequest });
/** `waiting`: the request is there, and people have not approved it yet. */
export const joinReply = z.discriminatedUnion("state", [
  z.strictObject({ state: z.literal("waiting") }),
  z.strictObject({ state: z.literal("answered"), answer: boxAnswer }),
  z.strictObject({ state: z.literal("refused"), code: z.string().max(64), message: z.string().max(500) }),
]);
export type JoinReply = z.infer<typeof joinReply>;

type Direction = "ask" | "reply";

function keyOf(secret: Uint8Array, direction: Direction): Uint8Array<ArrayBuffer> {
  return new Uint8Array(hkdfSync("sha256", secret, new Uint8Array(0), `shardkeep/v1/join/${direction}`, 32));
}

/** AES-256-GCM, a key for each direction; `iv` is 12 fresh random bytes. */
export function sealFrame(secret: Uint8Array, site: string, direction: Direction, iv: Uint8Array, content: unknown): Frame {
  const key = keyOf(secret, direction);
  try {
    const id = invitationId(secret);
    const cipher = createCipheriv("aes-256-gcm", key, iv).setAAD(canonical("join-frame", site, { id, direction }));
    return { v: 1, id, iv: toBase64url(iv), ct: toBase64url(concat(cipher.update(utf8(JSON.stringify(content))), cipher.final(), cipher.getAuthTag())) };
  } finally {
    wipe(key);
  }
}

/** The content, not looked at yet; public to both ends. Throws FRAME_INVALID for what was not sealed under this secret, for this site and direction. */
export function openFrame(secret: Uint8Array, site: string, direction: Direction, { id, iv, ct }: Frame): unknown {
  const key = keyOf(secret, direction);
  try {
    const sealed = bytesOf(ct);
    const tagAt = Math.max(0, sealed.length - tagBytes);
    const decipher = createDecipheriv("aes-256-gcm", key, bytesOf(iv), { authTagLength: tagBytes }).setAAD(canonical("join-frame", site, { id, direction })).setAuthTag(sealed.subarray(tagAt));
    const plain = concat(decipher.update(sealed.subarray(0, tagAt)), decipher.final());
    return JSON.parse(new TextDecoder().decode(plain)) as unknown;
  } catch (cause) {
    throw new InvitationError("FRAME_INVALID", "what came was not sealed under this code", { cause });
  } finally {
    wipe(key);
  }
}

import type * as real from "../../../agent/protocol/seal.ts";
import type { Recipient, SealedBox } from "../../../agent/protocol/seal.ts";
import { concat } from "../../../agent/runtime/encoding.ts";
import { ShardkeepError } from "../../../agent/runtime/errors.ts";
import { equalBytes } from "../../../agent/runtime/secrets.ts";
import { pointFor, secretOf, toyBytes, toyHash } from "./toy.ts";

/** Stands for agent/protocol/seal.ts in a simulation: bound to recipient, info and aad as that is. */
export class SealError extends ShardkeepError<"SEAL_INVALID"> {}

const tagBytes = 16;

function agreed(recipientPublic: Uint8Array, enc: Uint8Array): Uint8Array {
  const secret = secretOf(recipientPublic);
  if (secret === undefined) throw new SealError("SEAL_INVALID", "the recipient is not an uncompressed P-256 point");
  return toyHash("sha256", secret, enc);
}

function keyOf(shared: Uint8Array, info: Uint8Array, aad: Uint8Array): Uint8Array {
  return toyHash("sha256", shared, Uint8Array.of(info.length >> 8, info.length & 255), info, aad);
}

function masked(key: Uint8Array, text: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(new ArrayBuffer(text.length));
  for (let at = 0; at < text.length; at += 64) {
    const stream = toyHash("sha512", key, Uint8Array.of(at >> 14, (at >> 6) & 255));
    for (let i = at; i < Math.min(at + 64, text.length); i++) out[i] = (text[i] ?? 0) ^ (stream[i - at] ?? 0);
  }
  return out;
}

function openWith(key: Uint8Array, ct: Uint8Array): Uint8Array<ArrayBuffer> {
  const plain = masked(key, ct.subarray(0, -tagBytes));
  if (ct.length < tagBytes || !equalBytes(toyHash("sha256", key, plain).subarray(0, tagBytes), ct.subarray(-tagBytes))) throw new SealError("SEAL_INVALID", "a sealed text does not open");
  return plain;
}

export function requirePoint(point: Uint8Array, what: string): void {
  if (secretOf(point) === undefined) throw new SealError("SEAL_INVALID", `${what} is not an uncompressed P-256 point`);
}

export function sealRevealable(recipientPublic: Uint8Array, info: Uint8Array, aad: Uint8Array, plaintext: Uint8Array) {
  const ephemeral = toyBytes(32);
  const enc = pointFor(ephemeral);
  const key = keyOf(agreed(recipientPublic, enc), info, aad);
  return { enc, ct: concat(masked(key, plaintext), toyHash("sha256", key, plaintext).subarray(0, tagBytes)), ephemeral };
}

export function seal(recipientPublic: Uint8Array, info: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): SealedBox {
  const { enc, ct } = sealRevealable(recipientPublic, info, aad, plaintext);
  return { enc, ct };
}

export function open(recipient: Recipient, enc: Uint8Array, info: Uint8Array, aad: Uint8Array, ct: Uint8Array): Uint8Array<ArrayBuffer> {
  return openWith(keyOf(recipient.agree(enc), info, aad), ct);
}

export function openByEphemeral(ephemeral: Uint8Array, recipientPublic: Uint8Array, enc: Uint8Array, info: Uint8Array, aad: Uint8Array, ct: Uint8Array): Uint8Array<ArrayBuffer> {
  if (!equalBytes(pointFor(ephemeral), enc)) throw new SealError("SEAL_INVALID", "the revealed scalar is not that of the encapsulated key");
  return openWith(keyOf(agreed(recipientPublic, enc), info, aad), ct);
}

export function generateRecipient(): Recipient & { destroy(): void } {
  const publicKey = pointFor(toyBytes(32));
  let destroyed = false;
  return {
    publicKey,
    agree: (peer) => {
      if (destroyed) throw new SealError("SEAL_INVALID", "this receiving key is destroyed");
      return agreed(publicKey, peer);
    },
    destroy: () => { destroyed = true; },
  };
}

({ SealError, requirePoint, seal, sealRevealable, open, openByEphemeral, generateRecipient }) satisfies typeof real;

import { createCipheriv, createDecipheriv, createECDH, createHmac, ECDH } from "node:crypto";
import { decipherSecret } from "../runtime/decipher.ts";
import { concat, utf8 } from "../runtime/encoding.ts";
import { ShardkeepError } from "../runtime/errors.ts";
import { equalBytes, secretBytes, wipe } from "../runtime/secrets.ts";

/**
 * HPKE base mode, single shot (RFC 9180 §6.1): DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.
 * Synchronous over node:crypto, so that what it derives is wiped before it returns; the recipient's
 * ECDH is a parameter, because that private key lives in an HSM, in an enclave or in memory.
 */
export interface Recipient {
  /** 65 bytes, 04 ‖ X ‖ Y. */
  readonly publicKey: Uint8Array;
  /** The 32-byte X of the shared point with `peer` (65 bytes, on the curve); {@link open} wipes it. */
  agree(peer: Uint8Array): Uint8Array;
}

export interface SealedBox {
  /** The encapsulated key, 65 bytes. */
  readonly enc: Uint8Array;
  /** Ciphertext and 16-byte tag. */
  readonly ct: Uint8Array;
}

export class SealError extends ShardkeepError<"SEAL_INVALID"> {}

const curve = "prime256v1";
const scalarBytes = 32;
const tagBytes = 16;
/** RFC 9180 §4.1 and §5.1: KEM 0x0010, KDF 0x0001, AEAD 0x0002. */
const kemSuite = concat(utf8("KEM"), Uint8Array.of(0x00, 0x10));
const hpkeSuite = concat(utf8("HPKE"), Uint8Array.of(0x00, 0x10, 0x00, 0x01, 0x00, 0x02));
const version = utf8("HPKE-v1");
const nothing = new Uint8Array(0);

function hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const mac = createHmac("sha256", key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

/** RFC 9180 §4, LabeledExtract: 32 bytes. */
function extract(suite: Uint8Array, salt: Uint8Array, label: string, ikm: Uint8Array): Uint8Array {
  return hmac(salt, version, suite, utf8(label), ikm);
}

/** RFC 9180 §4, LabeledExpand for at most one block: `length` <= 32 bytes. */
function expand(suite: Uint8Array, prk: Uint8Array, label: string, info: Uint8Array, length: number): Uint8Array {
  return hmac(prk, Uint8Array.of(0, length), version, suite, utf8(label), info, Uint8Array.of(1)).subarray(0, length);
}

/** Refuses anything but an uncompressed point on P-256 (SEC 1 §2.3.4); not every HSM checks. */
export function requirePoint(point: Uint8Array, what: string): void {
  try {
    if (point.length === 65 && point[0] === 4) {
      ECDH.convertKey(point, curve);
      return;
    }
  } catch {
    // not on the curve
  }
  throw new SealError("SEAL_INVALID", `${what} is not an uncompressed P-256 point`);
}

/** Runs `use` with the AEAD key and nonce of this shared point, and wipes all that led to them. */
function withKey<T>(dh: Uint8Array, enc: Uint8Array, recipient: Uint8Array, info: Uint8Array, use: (key: Uint8Array, nonce: Uint8Array) => T): T {
  const secrets = [dh];
  const secret = (bytes: Uint8Array): Uint8Array => {
    secrets.push(bytes);
    return bytes;
  };
  try {
    // §4.1 ExtractAndExpand, then §5.1 KeySchedule with mode base: no PSK, mode byte 0.
    const prk = secret(extract(kemSuite, nothing, "eae_prk", dh));
    const shared = secret(expand(kemSuite, prk, "shared_secret", concat(enc, recipient), 32));
    const context = concat(
      Uint8Array.of(0),
      extract(hpkeSuite, nothing, "psk_id_hash", nothing),
      extract(hpkeSuite, nothing, "info_hash", info),
    );
    const schedule = secret(extract(hpkeSuite, shared, "secret", nothing));
    const key = secret(expand(hpkeSuite, schedule, "key", context, 32));
    const nonce = secret(expand(hpkeSuite, schedule, "base_nonce", context, 12));
    return use(key, nonce);
  } finally {
    wipe(...secrets);
  }
}

/**
 * Seals `plaintext` to the 65-byte point `recipientPublic`, bound to `info` and `aad`. The caller keeps,
 * and wipes, the plaintext. Throws SEAL_INVALID if the recipient is not a point.
 */
export function seal(recipientPublic: Uint8Array, info: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): SealedBox {
  const ephemeral = generateRecipient();
  try {
    return sealFrom(ephemeral, recipientPublic, info, aad, plaintext);
  } finally {
    ephemeral.destroy();
  }
}

/** A sealed text with the private half of its `enc`: 32 bytes, big endian, secret until it is published. */
export interface RevealableBox extends SealedBox {
  readonly ephemeral: Uint8Array<ArrayBuffer>;
}

/**
 * {@link seal}, for a text that everybody may have to see later (protocol.md §7, an accused pair): by `ephemeral`,
 * which the caller wipes, {@link openByEphemeral} opens it and nothing else. Throws SEAL_INVALID.
 */
export function sealRevealable(recipientPublic: Uint8Array, info: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): RevealableBox {
  const pair = createECDH(curve);
  pair.generateKeys();
  try {
    return { ...sealFrom(inMemory(pair), recipientPublic, info, aad, plaintext), ephemeral: scalarOf(pair) };
  } finally {
    overwrite(pair);
  }
}

function sealFrom(ephemeral: Recipient, recipientPublic: Uint8Array, info: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): SealedBox {
  requirePoint(recipientPublic, "the recipient");
  const enc = ephemeral.publicKey;
  return withKey(ephemeral.agree(recipientPublic), enc, recipientPublic, info, (key, nonce) => {
    const cipher = createCipheriv("aes-256-gcm", key, nonce);
    cipher.setAAD(aad);
    return { enc, ct: concat(cipher.update(plaintext), cipher.final(), cipher.getAuthTag()) };
  });
}

/**
 * The plaintext, in a view of its own that the caller wipes. Throws SEAL_INVALID if `enc` is not a point
 * or if any of recipient, enc, info, aad and ct is not what was sealed.
 */
export function open(recipient: Recipient, enc: Uint8Array, info: Uint8Array, aad: Uint8Array, ct: Uint8Array): Uint8Array<ArrayBuffer> {
  requirePoint(enc, "the encapsulated key");
  requireTag(ct);
  return withKey(recipient.agree(enc), enc, recipient.publicKey, info, (key, nonce) => decrypt(key, nonce, aad, ct));
}

/**
 * What was sealed to `recipientPublic`, without its private key: by the ephemeral scalar (32 bytes, big endian)
 * of {@link sealRevealable}. Throws SEAL_INVALID if `enc` is not that scalar's point, or as {@link open} does.
 */
export function openByEphemeral(
  ephemeral: Uint8Array, recipientPublic: Uint8Array, enc: Uint8Array, info: Uint8Array, aad: Uint8Array, ct: Uint8Array,
): Uint8Array<ArrayBuffer> {
  requirePoint(recipientPublic, "the recipient");
  requireTag(ct);
  const sender = inMemory(pairOf(ephemeral));
  if (!equalBytes(sender.publicKey, enc)) throw new SealError("SEAL_INVALID", "the revealed scalar is not that of the encapsulated key");
  return withKey(sender.agree(recipientPublic), enc, recipientPublic, info, (key, nonce) => decrypt(key, nonce, aad, ct));
}

function requireTag(ct: Uint8Array): void {
  if (ct.length < tagBytes) throw new SealError("SEAL_INVALID", `a sealed text of ${ct.length} bytes has no tag`);
}

function decrypt(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, ct: Uint8Array): Uint8Array<ArrayBuffer> {
  const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: tagBytes });
  decipher.setAAD(aad);
  decipher.setAuthTag(ct.subarray(-tagBytes));
  try {
    return decipherSecret(decipher, ct.subarray(0, -tagBytes));
  } catch (cause) {
    throw new SealError("SEAL_INVALID", "a sealed text does not open: another recipient or context, or it was changed", { cause });
  }
}

function inMemory(pair: ECDH): Recipient {
  return { publicKey: new Uint8Array(pair.getPublicKey()), agree: (peer) => pair.computeSecret(peer) };
}

/** OpenSSL writes the new scalar over the old one. */
function overwrite(pair: ECDH): void {
  pair.generateKeys();
}

function scalarOf(pair: ECDH): Uint8Array<ArrayBuffer> {
  const scalar = pair.getPrivateKey();
  const padded = secretBytes(scalarBytes);
  padded.set(scalar, scalarBytes - scalar.length); // Node leaves out leading zeros
  wipe(scalar);
  return padded;
}

function pairOf(scalar: Uint8Array): ECDH {
  const pair = createECDH(curve);
  try {
    if (scalar.length !== scalarBytes) throw new RangeError(`${scalar.length} bytes`);
    pair.setPrivateKey(scalar);
    return pair;
  } catch (cause) {
    throw new SealError("SEAL_INVALID", `the revealed scalar is not ${scalarBytes} bytes that make a P-256 key`, { cause });
  }
}

/** A fresh recipient in this process's memory. `destroy` overwrites the private key; `agree` then throws. */
export function generateRecipient(): Recipient & { destroy(): void } {
  const pair = createECDH(curve);
  pair.generateKeys();
  const recipient = inMemory(pair);
  let destroyed = false;
  return {
    publicKey: recipient.publicKey,
    agree: (peer) => {
      if (destroyed) throw new SealError("SEAL_INVALID", "this receiving key is destroyed");
      return recipient.agree(peer);
    },
    destroy: () => {
      destroyed = true;
      overwrite(pair);
    },
  };
}

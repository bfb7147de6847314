import { createCipheriv, createDecipheriv, createHash, createHmac } from "node:crypto";
import { ShardkeepError } from "../runtime/errors.ts";
import { decipherSecret } from "../runtime/decipher.ts";
import { concat, toBase64url, utf8 } from "../runtime/encoding.ts";
import type { Random } from "../runtime/random.ts";
import { secretBytes, secretCopy, wipe } from "../runtime/secrets.ts";
import { canonical } from "./canonical.ts";

/**
 * Ciphertexts under a master key (protocol.md §4). The master key never touches data: each ciphertext
 * has its own working key, HMAC-SHA-256(K, name ‖ 32 random bytes). Who opens takes the name from the
 * request digest, never from the ciphertext, so it opens only under the resource it was made for.
 *
 *   ciphertext = "SKC1" random(32) AES-256-GCM(working key, iv = 0, AAD = canonical name, plaintext) tag(16)
 *
 * A working key encrypts once, so a constant nonce is safe (NIST SP 800-38D §8 asks for unique pairs).
 */
export interface KeyName {
  readonly site: string;
  readonly key: string;
  readonly version: number;
  readonly use: "data" | "wrap" | "mac" | "check";
  readonly resource: string;
}

export class CiphertextError extends ShardkeepError<"CIPHERTEXT_INVALID"> {}

const magic = utf8("SKC1");
const randomLength = 32;
const tagLength = 16;
const headLength = magic.length + randomLength;
const iv = new Uint8Array(12);
/** Bytes that {@link encryptUnder} adds. */
export const ciphertextOverhead = headLength + tagLength;

function aad({ site, key, version, use, resource }: KeyName, random: Uint8Array): Uint8Array {
  return canonical("ciphertext", site, { format: 1, key, version, use, resource, random });
}

/** The working key for one name and one random value; 32 bytes of secret memory that the caller wipes. */
export function workingKey(master: Uint8Array, { site, key, version, use, resource }: KeyName, random: Uint8Array): Uint8Array<ArrayBuffer> {
  const mac = createHmac("sha256", master).update(canonical("working-key", site, { key, version, use, resource, random })).digest();
  const out = secretCopy(mac);
  wipe(mac);
  return out;
}

/** The key check value: the working key of use `check` under zero bytes, 32 bytes. Public. */
export function keyCheckValue(master: Uint8Array, site: string, key: string, version: number): string {
  const value = workingKey(master, { site, key, version, use: "check", resource: "" }, new Uint8Array(randomLength));
  return toBase64url(value);
}

export function encryptUnder(master: Uint8Array, name: KeyName, plaintext: Uint8Array, random: Random): Uint8Array<ArrayBuffer> {
  const fresh = random.bytes(randomLength);
  const key = workingKey(master, name, fresh);
  try {
    const cipher = createCipheriv("aes-256-gcm", key, iv).setAAD(aad(name, fresh));
    const body = cipher.update(plaintext);
    cipher.final(); // ends the key schedule (crypto.md §7); GCM adds no bytes
    return concat(magic, fresh, body, cipher.getAuthTag());
  } finally {
    wipe(key);
  }
}

/** Opens a ciphertext; the plaintext is in secret memory that the caller wipes. */
export function decryptUnder(master: Uint8Array, name: KeyName, ciphertext: Uint8Array): Uint8Array<ArrayBuffer> {
  if (ciphertext.length < ciphertextOverhead || !magic.every((byte, i) => ciphertext[i] === byte)) {
    throw new CiphertextError("CIPHERTEXT_INVALID", "this is not a Shardkeep ciphertext", { remedy: "give the file that `shardkeep use encrypt` or `wrap` wrote" });
  }
  const random = ciphertext.slice(magic.length, headLength);
  const key = workingKey(master, name, random);
  try {
    const decipher = createDecipheriv("aes-256-gcm", key, iv).setAAD(aad(name, random)).setAuthTag(ciphertext.subarray(-tagLength));
    return decipherSecret(decipher, ciphertext.subarray(headLength, -tagLength));
  } catch (cause) {
    throw new CiphertextError("CIPHERTEXT_INVALID", `the ciphertext does not open under key ${name.key} and resource ${name.resource}`, {
      cause, remedy: "ask for the resource that it was made for; a ciphertext opens under no other",
    });
  } finally {
    wipe(key);
  }
}

/** A message authentication code under the key, 32 bytes; its random value travels with it: random(32) ‖ mac(32). */
export function macUnder(master: Uint8Array, name: KeyName, message: Uint8Array, random: Uint8Array): Uint8Array<ArrayBuffer> {
  const key = workingKey(master, name, random);
  try {
    return concat(random, createHmac("sha256", key).update(message).digest());
  } finally {
    wipe(key);
  }
}

/** Commits to a payload without telling it: SHA-256(prefix ‖ salt 32 ‖ payload). */
export function payloadCommitment(site: string, salt: Uint8Array, payload: Uint8Array): string {
  return toBase64url(createHash("sha256").update(canonical("payload", site, {})).update(salt).update(payload).digest());
}

/** A payload on its way to the enclave: salt(32) ‖ payload, in secret memory. */
export function saltedPayload(salt: Uint8Array, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = secretBytes(salt.length + payload.length);
  out.set(salt);
  out.set(payload, salt.length);
  return out;
}

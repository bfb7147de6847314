import { createHash } from "node:crypto";

/** How people compare a public key: SHA-256 of its base64url text, base64url. */
export function fingerprintOf(publicKey: string): string {
  return createHash("sha256").update(publicKey).digest("base64url");
}

/** Whether people meant this key by what they typed: the key itself, or its fingerprint. */
export function isMeant(publicKey: string, typed: string): boolean {
  return typed === publicKey || typed === fingerprintOf(publicKey);
}

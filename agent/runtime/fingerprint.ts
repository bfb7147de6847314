import { createHash } from "node:crypto";

/** How people compare a public key: SHA-256 of its base64url text, base64url. */
export function fingerprintOf(publicKey: string): string {
  return createHash("sha256").update(publicKey).digest("base64url");
}

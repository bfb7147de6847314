import { createPrivateKey, createPublicKey, sign, verify, type KeyObject } from "node:crypto";
import { fromBase64url, toBase64url } from "../runtime/encoding.ts";
import { generateKeyPair } from "../runtime/key-pair.ts";
import { wipe } from "../runtime/secrets.ts";

/** ECDSA on P-256 with SHA-256, signatures as r ‖ s, 64 bytes (JWS ES256, RFC 7518 §3.4). */
export interface Signer {
  sign(message: Uint8Array): Uint8Array | Promise<Uint8Array>;
}

/** Importing a point costs as much as verifying with it; the identities of a site are few. */
const imported = new Map<string, KeyObject>();
const mostImported = 1024;

function importPoint(publicKey: string): KeyObject | null {
  const known = imported.get(publicKey);
  if (known !== undefined) return known;
  const point = fromBase64url(publicKey);
  if (point?.length !== 65 || point[0] !== 4) return null;
  try {
    const key = createPublicKey({
      format: "jwk",
      key: { kty: "EC", crv: "P-256", x: toBase64url(point.subarray(1, 33)), y: toBase64url(point.subarray(33)) },
    });
    if (imported.size >= mostImported) imported.clear();
    imported.set(publicKey, key);
    return key;
  } catch {
    return null; // not on the curve
  }
}

/** Checks a signature by the 65-byte point `publicKey` (base64url); false for anything malformed. */
export function verifyEs256(publicKey: string, message: Uint8Array, signature: string): boolean {
  const key = importPoint(publicKey);
  const bytes = fromBase64url(signature);
  if (key === null || bytes?.length !== 64) return false;
  return verify("sha256", message, { key, dsaEncoding: "ieee-p1363" }, bytes);
}

/** The 65-byte point of an EC key object, base64url. */
export function pointOf(key: KeyObject): string {
  const { x, y } = key.export({ format: "jwk" });
  if (x === undefined || y === undefined) throw new TypeError("not an EC key");
  return Buffer.concat([Buffer.of(4), Buffer.from(x, "base64url"), Buffer.from(y, "base64url")]).toString("base64url");
}

/** A signer over a private key in this process's memory: session keys, clients, enclaves. */
export function softwareSigner(privateKey: KeyObject): Signer {
  return { sign: (message) => new Uint8Array(sign("sha256", message, { key: privateKey, dsaEncoding: "ieee-p1363" })) };
}

/** A fresh P-256 signing key in memory. */
export function generateSigner(): Signer & { readonly publicKey: string } {
  const { pkcs8, point } = generateKeyPair();
  try {
    const privateKey = createPrivateKey({ key: Buffer.from(pkcs8.buffer), format: "der", type: "pkcs8" });
    return { ...softwareSigner(privateKey), publicKey: toBase64url(point) };
  } finally {
    wipe(pkcs8);
  }
}

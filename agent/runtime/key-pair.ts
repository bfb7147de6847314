import { createECDH, type ECDH } from "node:crypto";
import { secretBytes, wipe } from "./secrets.ts";

/** PKCS #8 of a P-256 key (RFC 5208, RFC 5915) up to the scalar, and between scalar and point. */
const head = Buffer.from("308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420", "hex");
const middle = Buffer.from("a144034200", "hex");
const scalarLength = 32;

export interface KeyPair {
  /** Private key, PKCS #8 DER, in secret memory that the caller wipes. */
  readonly pkcs8: Uint8Array<ArrayBuffer>;
  /** Public point, 04 ‖ X ‖ Y, 65 bytes. */
  readonly point: Uint8Array;
}

/**
 * A fresh P-256 key pair. Not by generateKeyPairSync: on Node 20 the garbage collector may end its job
 * while the key is exported, and both want the key's lock: the process hangs for ever (measured, about one
 * start in a hundred; docs/decisions/0005).
 */
export function generateKeyPair(): KeyPair {
  const pair = createECDH("prime256v1");
  pair.generateKeys();
  return exported(pair);
}

/**
 * The pair of a private scalar of 32 bytes, which stays the caller's to wipe. Throws as node:crypto does where it is none
 * of this curve's.
 */
export function keyPairOf(scalar: Uint8Array): KeyPair {
  const pair = createECDH("prime256v1");
  pair.setPrivateKey(scalar);
  return exported(pair);
}

/** A fresh private scalar, 32 bytes in secret memory that the caller wipes. */
export function generateScalar(): Uint8Array<ArrayBuffer> {
  const pair = createECDH("prime256v1");
  pair.generateKeys();
  const made = pair.getPrivateKey();
  const scalar = secretBytes(scalarLength);
  scalar.set(made, scalarLength - made.length); // leading zeros are left out there
  wipe(made);
  return scalar;
}

function exported(pair: ECDH): KeyPair {
  const point = pair.getPublicKey();
  const scalar = pair.getPrivateKey();
  const pkcs8 = secretBytes(head.length + scalarLength + middle.length + point.length);
  pkcs8.set(head);
  pkcs8.set(scalar, head.length + scalarLength - scalar.length);
  pkcs8.set(middle, head.length + scalarLength);
  pkcs8.set(point, head.length + scalarLength + middle.length);
  wipe(scalar);
  return { pkcs8, point: new Uint8Array(point) };
}

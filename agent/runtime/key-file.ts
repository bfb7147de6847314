import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { writeDurably } from "./durable.ts";
import { generateKeyPair } from "./key-pair.ts";
import { wipe } from "./secrets.ts";

/** The P-256 private key in `path`, PKCS#8 DER: its bytes never become text, which could not be wiped. Throws what node:fs and node:crypto throw. */
export function readKeyFile(path: string): KeyObject {
  const der = readFileSync(path);
  try {
    const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
    if (key.asymmetricKeyDetails?.namedCurve !== "prime256v1") throw new TypeError("not a P-256 key");
    return key;
  } finally {
    der.fill(0);
  }
}

/** The public half of the key in `path`, which is made, mode 0600, if there is none. */
export function ensureKeyFile(path: string): KeyObject {
  if (existsSync(path)) return createPublicKey(readKeyFile(path));
  const { pkcs8 } = generateKeyPair();
  try {
    writeDurably(path, pkcs8);
  } finally {
    wipe(pkcs8);
  }
  return createPublicKey(readKeyFile(path));
}

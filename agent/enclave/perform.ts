import { decryptUnder, encryptUnder, macUnder, type KeyName } from "../protocol/ciphertext.ts";
import type { UseBody } from "../protocol/request.ts";
import type { Random } from "../runtime/random.ts";
import { EnclaveError } from "./errors.ts";

const uses = { encrypt: "data", decrypt: "data", wrap: "wrap", unwrap: "wrap", mac: "mac" } as const;

/**
 * The request's operation on `payload`: ciphertext, plaintext or mac, in memory that the caller wipes. Key,
 * version, use and resource come from the request and the record, never from the payload (protocol.md §4).
 * Throws CIPHERTEXT_INVALID, WRONG_OPERATION.
 */
export function perform(master: Uint8Array, site: string, version: number, { key, operation, resource }: UseBody, payload: Uint8Array, random: Random): Uint8Array {
  if (operation === "create") throw new EnclaveError("WRONG_OPERATION", "a key is made by create, not by operate");
  const name: KeyName = { site, key, version, use: uses[operation], resource };
  switch (operation) {
    case "encrypt":
    case "wrap":
      return encryptUnder(master, name, payload, random);
    case "decrypt":
    case "unwrap":
      return decryptUnder(master, name, payload);
    case "mac":
      return macUnder(master, name, payload, random.bytes(32));
  }
}

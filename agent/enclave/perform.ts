import { decryptUnder, encryptUnder, macUnder, type KeyName } from "../protocol/ciphertext.ts";
import { isApproval } from "../protocol/request.ts";
import type { Operation } from "../protocol/site-record.ts";
import type { Random } from "../runtime/random.ts";

/** What is done with a key that exists. */
export type KeyOperation = Exclude<Operation, "create" | "reshard" | "recover" | "record" | "readmit">;

/** The rest are no business of an enclave that has combined a key. */
export function isKeyOperation(operation: Operation): operation is KeyOperation {
  return operation !== "create" && !isApproval(operation);
}

const uses = { encrypt: "data", decrypt: "data", wrap: "wrap", unwrap: "wrap", mac: "mac" } as const;

/**
 * The operation on `payload`: ciphertext, plaintext or mac, in memory that the caller wipes. `of` is taken
 * from the request and the record, never from the payload (protocol.md §4). Throws CIPHERTEXT_INVALID.
 */
export function perform(operation: KeyOperation, master: Uint8Array, of: Omit<KeyName, "use">, payload: Uint8Array, random: Random): Uint8Array {
  const name: KeyName = { ...of, use: uses[operation] };
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

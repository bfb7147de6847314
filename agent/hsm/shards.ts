import { createCipheriv, createDecipheriv, createHash, randomBytes, type DecipherGCM } from "node:crypto";
import { seal, type SealedBox } from "../protocol/seal.ts";
import { decipherSecret } from "../runtime/decipher.ts";
import { hasCode } from "../runtime/errors.ts";
import { equalBytes, secretCopy, wipe } from "../runtime/secrets.ts";
import { HsmError } from "./errors.ts";
import type { BatchShard } from "./hsm.ts";
import { withVault, type SealKeys, type Vault } from "./seals.ts";

/** A share at rest (protocol.md §6), AES-256-GCM under a vault key: iv 12 bytes, ct 32, tag 16. */
export interface SealedShard {
  readonly iv: Uint8Array;
  readonly ct: Uint8Array;
  readonly tag: Uint8Array;
}

/** What SHA-256(prefix ‖ share) must be: the public record's word on this share. */
export interface ShareDigest {
  readonly digestPrefix: Uint8Array;
  readonly digest: Uint8Array;
}

/** Throws SHARE_DIGEST_MISMATCH. */
export function requireDigest(share: Uint8Array, { digestPrefix, digest }: ShareDigest): void {
  const found = createHash("sha256").update(digestPrefix).update(share).digest();
  if (!equalBytes(found, digest)) throw new HsmError("SHARE_DIGEST_MISMATCH", "a share is not the one in the record", { remedy: "the dealer or the store is wrong about it: re-shard" });
}

function encrypt(key: Uint8Array, aad: Uint8Array, share: Uint8Array): SealedShard {
  const iv = new Uint8Array(randomBytes(12));
  const cipher = createCipheriv("aes-256-gcm", key, iv);
  cipher.setAAD(aad);
  const ct = new Uint8Array(cipher.update(share));
  cipher.final();
  return { iv, ct, tag: new Uint8Array(cipher.getAuthTag()) };
}

/** Runs `use` with the opened share and wipes it. Throws SHARD_DAMAGED. */
function withShare<T>(key: Uint8Array, { iv, ct, tag }: SealedShard, aad: Uint8Array, use: (share: Uint8Array) => T): T {
  const decipher = createDecipheriv("aes-256-gcm", key, iv, { authTagLength: 16 });
  decipher.setAAD(aad);
  decipher.setAuthTag(tag);
  const share = decrypt(decipher, ct);
  try {
    return use(share);
  } finally {
    wipe(share);
  }
}

function decrypt(decipher: DecipherGCM, ct: Uint8Array): Uint8Array {
  try {
    return decipherSecret(decipher, ct);
  } catch (cause) {
    throw new HsmError("SHARD_DAMAGED", "a stored shard does not open under its vault and record", { cause, remedy: "this box's copy is lost or mislaid: re-shard round it" });
  }
}

/** Whether a shard opens and is the one in the record. */
function isSound(key: Uint8Array, shard: BatchShard): boolean {
  try {
    withShare(key, shard.sealed, shard.aad, (share) => { requireDigest(share, shard); });
    return true;
  } catch (error) {
    if (hasCode(error, "SHARD_DAMAGED") || hasCode(error, "SHARE_DIGEST_MISMATCH")) return false;
    throw error;
  }
}

/** Seals, and opens again before it is believed. */
function encryptProven(key: Uint8Array, aad: Uint8Array, share: Uint8Array): SealedShard {
  const sealed = encrypt(key, aad, share);
  withShare(key, sealed, aad, () => undefined);
  return sealed;
}

/** Shares under vault keys. A plain one exists only inside these calls. */
export class Shards {
  readonly #keys: SealKeys;

  constructor(keys: SealKeys) {
    this.#keys = keys;
  }

  commit(vault: Vault, aad: Uint8Array, share: Uint8Array): SealedShard {
    return withVault(this.#keys, vault, (key) => encryptProven(key, aad, share));
  }

  /** Several, in order, by one opening of the vault. */
  commitAll(vault: Vault, shards: readonly { readonly aad: Uint8Array; readonly share: Uint8Array }[]): SealedShard[] {
    return withVault(this.#keys, vault, (key) => shards.map(({ aad, share }) => encryptProven(key, aad, share)));
  }

  /** Runs `use` with a batch, opened and each the one in the record, and wipes what was opened. */
  async withAll<S extends BatchShard, T>(vault: Vault, batch: readonly S[], use: (opened: readonly (S & { readonly share: Uint8Array })[]) => Promise<T>): Promise<T> {
    const opened: (S & { readonly share: Uint8Array })[] = [];
    try {
      withVault(this.#keys, vault, (key) => {
        for (const shard of batch) {
          withShare(key, shard.sealed, shard.aad, (share) => {
            requireDigest(share, shard);
            opened.push({ ...shard, share: secretCopy(share) });
          });
        }
      });
      return await use(opened);
    } finally {
      wipe(...opened.map(({ share }) => share));
    }
  }

  /** Of each, whether it opens and is the one in the record; by one opening of the vault. */
  checkAll(vault: Vault, batch: readonly BatchShard[]): boolean[] {
    return withVault(this.#keys, vault, (key) => batch.map((shard) => isSound(key, shard)));
  }

  /** The share, sealed to `recipient` (65 bytes), only if its digest is right. */
  release(vault: Vault, sealed: SealedShard, aad: Uint8Array, digest: ShareDigest, to: { recipient: Uint8Array; info: Uint8Array; hpkeAad: Uint8Array }): SealedBox {
    return withVault(this.#keys, vault, (key) => withShare(key, sealed, aad, (share) => {
      requireDigest(share, digest);
      return seal(to.recipient, to.info, to.hpkeAad, share);
    }));
  }

  /** All of them from one vault to another, or none. */
  reseal(from: Vault, to: Vault, shards: readonly { sealed: SealedShard; aad: Uint8Array }[]): SealedShard[] {
    return withVault(this.#keys, from, (old) => withVault(this.#keys, to, (next) =>
      shards.map(({ sealed, aad }) => withShare(old, sealed, aad, (share) => encryptProven(next, aad, share)))));
  }
}

import type { SealedBox } from "../protocol/seal.ts";
import type { DeviceInfo } from "./device.ts";
import type { Role } from "./keys.ts";
import type { Vault } from "./seals.ts";
import type { SealedShard, ShareDigest } from "./shards.ts";

/** A share at rest and all that opening and checking it takes. */
export interface StoredShard extends ShareDigest {
  readonly vault: Vault;
  readonly sealed: SealedShard;
  /** What it was sealed with: key, epoch, attempt, x, record hash (protocol.md §6); at most 4096 bytes. */
  readonly aad: Uint8Array;
}

/**
 * What box and coordinator ask of their HSM. Points are 65 bytes, 04 ‖ X ‖ Y; seal generations count from
 * 1; info, aad and digest prefixes are at most 4096 bytes, messages 64 KiB. No call takes or gives a
 * secret in clear. Beside the errors named here any call may reject with a fault of the device
 * (`HSM_…`, `TOKEN_…`, `PIN_…`; agent/hsm/errors.ts) or of its process (`PROCESS_…`, retryable).
 */
export interface Hsm {
  info(): Promise<DeviceInfo>;
  /** Finalize, Initialize, Login: from here on only what the token really holds is found. */
  reopen(): Promise<void>;

  /** Provisioning only. Rejects with KEY_EXISTS, KEY_NOT_DURABLE. */
  createKey(role: Role): Promise<Uint8Array>;
  /** Rejects with KEY_MISSING; never makes a key. */
  publicKey(role: Role): Promise<Uint8Array>;
  /** ES256: 64 bytes, r ‖ s over SHA-256(message). */
  sign(role: Role, message: Uint8Array): Promise<Uint8Array>;
  /** 1 to 1024 bytes of the HSM's own randomness. */
  random(length: number): Promise<Uint8Array>;
  /** A MAC of known value; sign and verify with every key. Rejects with HSM_SELF_TEST_FAILED. */
  selfTest(): Promise<void>;

  /** Coordinator: a new challenge secret for `box`, sealed to its seal key. Rejects with KEY_EXISTS. */
  createChallengeSecret(args: { box: string; recipient: Uint8Array; info: Uint8Array }): Promise<SealedBox>;
  /** Box: stores it. Rejects with SEAL_INVALID, CHALLENGE_SECRET_INVALID, KEY_EXISTS, KEY_MISSING. */
  acceptChallengeSecret(args: { box: string; generation: number; info: Uint8Array } & SealedBox): Promise<void>;
  /** Nothing happens if there is none. Rejects with KEY_NOT_DESTROYED. */
  removeChallengeSecret(args: { box: string }): Promise<void>;
  /** HMAC-SHA-256 over SHA-256(message) under the challenge secret of `box`: 32 bytes. Rejects with KEY_MISSING. */
  mac(args: { box: string; message: Uint8Array }): Promise<Uint8Array>;
  verifyMac(args: { box: string; message: Uint8Array; mac: Uint8Array }): Promise<boolean>;

  /** Rejects with KEY_EXISTS, KEY_NOT_DURABLE. Resolved means: it survives a power cut. */
  createSealKey(args: { generation: number }): Promise<Uint8Array>;
  /** Generations in the HSM, in order. */
  sealKeys(): Promise<number[]>;
  /** Resolved means: destroyed, looked for, durable. Done again, nothing happens. Rejects with KEY_NOT_DESTROYED. */
  destroySealKey(args: { generation: number }): Promise<void>;
  /** A fresh vault key, sealed to that seal key; ct is 48 bytes. Rejects with KEY_MISSING. */
  createVault(args: { generation: number }): Promise<SealedBox>;

  /** A fresh receiving key, in memory only; at most 64. Rejects with RECEIVING_EXISTS, RECEIVING_FULL. */
  openReceiving(args: { id: string }): Promise<Uint8Array>;
  /** Wipes key and pending piece; nothing happens if there is none. */
  closeReceiving(args: { id: string }): Promise<void>;
  /** Takes the one piece of a receiving key: share(32) ‖ mask(16). Rejects with SEAL_INVALID, SHARE_DIGEST_MISMATCH, PIECE_INVALID, PIECE_EXISTS, RECEIVING_MISSING. */
  receivePiece(args: { id: string; info: Uint8Array; aad: Uint8Array } & SealedBox & ShareDigest): Promise<void>;
  /** R·share ⊕ mask, 16 bytes, once (protocol.md §7, CHECK). Rejects with CHECK_ALREADY_GIVEN, PIECE_MISSING, RECEIVING_MISSING. */
  checkValue(args: { id: string; seed: Uint8Array; keyId: string }): Promise<Uint8Array>;
  /** The pending share under a vault, proven to open; the piece is wiped. Rejects with PIECE_MISSING, RECEIVING_MISSING, VAULT_DAMAGED. */
  commitPiece(args: { id: string; vault: Vault; aad: Uint8Array }): Promise<SealedShard>;

  /** False if the shard does not open or is not the one in the record. Rejects with VAULT_DAMAGED, KEY_MISSING. */
  checkShard(args: StoredShard): Promise<boolean>;
  /** The share, sealed to `recipient`. Rejects with SHARD_DAMAGED, SHARE_DIGEST_MISMATCH, VAULT_DAMAGED, SEAL_INVALID. */
  releaseShard(args: StoredShard & { recipient: Uint8Array; info: Uint8Array; hpkeAad: Uint8Array }): Promise<SealedBox>;
  /** All shards (at most 4096) from one vault to another, in order, or none. Rejects with SHARD_DAMAGED, VAULT_DAMAGED. */
  resealShards(args: { from: Vault; to: Vault; shards: readonly { sealed: SealedShard; aad: Uint8Array }[] }): Promise<SealedShard[]>;
}

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

/** One shard of a batch under one vault; `aad` at most 4096 bytes. */
export interface BatchShard extends ShareDigest {
  readonly sealed: SealedShard;
  readonly aad: Uint8Array;
}

/** One to whom a piece is dealt (protocol.md §7, DEAL). */
export interface DealTo {
  /** 1 to 255: a new holder's x', or a witness's x. */
  readonly x: number;
  /** Its receiving key, 65 bytes. */
  readonly recipient: Uint8Array;
  /** Plan hash, dealer, recipient, keys: both info and AAD of the seal; at most 4096 bytes. */
  readonly info: Uint8Array;
}

/** A piece on its way, and the {@link DealTo.info} it was sealed with. */
export type DealtBox = SealedBox & { readonly info: Uint8Array };

/** What one dealer, at its old x, sent to one recipient: a new holder's piece, a witness's, or both. */
export interface DealtPieces {
  readonly x: number;
  readonly holder?: DealtBox | undefined;
  readonly witness?: DealtBox | undefined;
}

/**
 * What box and coordinator ask of their HSM. Points are 65 bytes, 04 ‖ X ‖ Y; seal generations count from
 * 1; info, aad and digest prefixes are at most 4096 bytes, messages 64 KiB, what is signed 1 MiB. No call takes or gives a
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
  /** Wipes key and whatever it received; nothing happens if there is none. */
  closeReceiving(args: { id: string }): Promise<void>;
  /** Takes the one piece of a receiving key: share(32) ‖ mask(16). Rejects with SEAL_INVALID, SHARE_DIGEST_MISMATCH, PIECE_INVALID, PIECE_EXISTS, RECEIVING_MISSING. */
  receivePiece(args: { id: string; info: Uint8Array; aad: Uint8Array } & SealedBox & ShareDigest): Promise<void>;
  /** R·share ⊕ mask, 16 bytes, once (protocol.md §7, CHECK). Rejects with CHECK_ALREADY_GIVEN, PIECE_MISSING, RECEIVING_MISSING. */
  checkValue(args: { id: string; seed: Uint8Array; keyId: string }): Promise<Uint8Array>;
  /** The pending share under a vault, proven to open; the piece is wiped. Rejects with PIECE_MISSING, RECEIVING_MISSING, VAULT_DAMAGED. */
  commitPiece(args: { id: string; vault: Vault; aad: Uint8Array }): Promise<SealedShard>;

  /**
   * Of each shard (at most 4096, by one opening of the vault), in order: false if it does not open or is not the one in the
   * record. Rejects with VAULT_DAMAGED, KEY_MISSING.
   */
  checkShards(args: { vault: Vault; shards: readonly BatchShard[] }): Promise<boolean[]>;
  /** The share, sealed to `recipient`. Rejects with SHARD_DAMAGED, SHARE_DIGEST_MISMATCH, VAULT_DAMAGED, SEAL_INVALID. */
  releaseShard(args: StoredShard & { recipient: Uint8Array; info: Uint8Array; hpkeAad: Uint8Array }): Promise<SealedBox>;
  /** All shards (at most 4096) from one vault to another, in order, or none. Rejects with SHARD_DAMAGED, VAULT_DAMAGED. */
  resealShards(args: { from: Vault; to: Vault; shards: readonly { sealed: SealedShard; aad: Uint8Array }[] }): Promise<SealedShard[]>;

  /**
   * A dealer's part in the re-shard of a batch (protocol.md §7, DEAL), once an id. Opens its shards, splits each with
   * threshold `nextT` to the holders' x', deals one fresh mask with threshold `t` to the witnesses and `nextT` to the
   * holders, and seals a piece to each, in their order: sub-share(32) of every key ‖ mask(16); to a witness mask(16).
   * At most 1000 shards, 255 holders, 255 witnesses; 64 dealings open. Rejects with DEAL_ALREADY_GIVEN, DEALING_FULL,
   * SHARD_DAMAGED, SHARE_DIGEST_MISMATCH, VAULT_DAMAGED, SEAL_INVALID, SHARE_COUNT (fewer x's than the threshold),
   * SHARE_X_…, THRESHOLD_INVALID; then nothing is dealt.
   */
  dealShards(args: {
    id: string; vault: Vault; shards: readonly BatchShard[]; t: number; nextT: number; holders: readonly DealTo[]; witnesses: readonly DealTo[];
  }): Promise<{ holders: SealedBox[]; witnesses: SealedBox[] }>;
  /**
   * The ephemeral private key (32 bytes, big endian) of the piece dealt to holder `x`, in a burnt attempt, if the
   * piece is not what the holder published about it (16 bytes, protocol.md §7 CHECK): see openByEphemeral. The
   * caller gives piece and recipient as they were sent. One holder a deal; the same again repeats. Rejects with
   * CHECK_MATCHES, REVEAL_ALREADY_GIVEN, DEALING_MISSING, PIECE_MISSING (nothing was dealt to x), SEAL_INVALID.
   */
  revealSeal(args: {
    id: string; x: number; recipient: Uint8Array; info: Uint8Array; transcript: Uint8Array; keyIds: readonly string[]; published: Uint8Array;
  } & SealedBox): Promise<Uint8Array>;
  /** Wipes what {@link revealSeal} needs; nothing happens if there is none. The id is then forgotten, as by a restart. */
  closeDealing(args: { id: string }): Promise<void>;

  /**
   * Opens, under receiving key `id`, what all t dealers (in the plan's order, by their old x) sent for a batch of `keys` keys, and keeps
   * it in memory; once. All dealers sent the same kinds of piece. Rejects with PIECE_INVALID naming the dealer's x (does not
   * open, wrong length or kind), DEALT_ALREADY, RECEIVING_MISSING, SHARE_COUNT, SHARE_X_…; then nothing is kept.
   */
  receiveDealt(args: { id: string; keys: number; dealers: readonly DealtPieces[] }): Promise<void>;
  /**
   * New holder (CHECK), once: Σ_key R_key·u_ij + v_i(x'_j), 16 bytes for each dealer in the order of {@link receiveDealt}, and
   * SHA-256(digestPrefix ‖ new share), 32 bytes for each key. `transcript` is T, 32 bytes.
   * Rejects with CHECK_ALREADY_GIVEN, PIECE_MISSING, PIECE_INVALID (another number of keys), RECEIVING_MISSING.
   */
  holderCheck(args: {
    id: string; transcript: Uint8Array; keys: readonly { readonly keyId: string; readonly digestPrefix: Uint8Array }[];
  }): Promise<{ values: Uint8Array[]; digests: Uint8Array[] }>;
  /**
   * Witness (CHECK), once: Σ_key R_key·y_k + Σ_i λ_i·v_i(x_k), 16 bytes; y_k are its own stored shards.
   * Rejects as {@link holderCheck} does, and with SHARD_DAMAGED, SHARE_DIGEST_MISMATCH, VAULT_DAMAGED; these leave it to be asked again.
   */
  witnessCheck(args: { id: string; transcript: Uint8Array; vault: Vault; shards: readonly (BatchShard & { readonly keyId: string })[] }): Promise<Uint8Array>;
  /**
   * The new shares under a vault, in order, each proven to open; then they are wiped. `digest` is what {@link holderCheck} gave.
   * Rejects with PIECE_MISSING, CHECK_MISSING (before holderCheck), SHARE_DIGEST_MISMATCH, PIECE_INVALID (another number
   * of keys), VAULT_DAMAGED, RECEIVING_MISSING; then it may be asked again.
   */
  commitDealt(args: { id: string; vault: Vault; shards: readonly (ShareDigest & { readonly aad: Uint8Array })[] }): Promise<SealedShard[]>;
}

import { applyMatrix, expandMatrix } from "../sharding/check.ts";
import { generateRecipient, open, type SealedBox } from "../protocol/seal.ts";
import { wipe } from "../runtime/secrets.ts";
import { Dealt } from "./dealt.ts";
import { HsmError } from "./errors.ts";
import type { DealtPieces } from "./hsm.ts";
import { requireDigest, type ShareDigest } from "./shards.ts";

const shareBytes = 32;
const maskBytes = 16;
const mostOpen = 64;

interface Receiving {
  readonly key: ReturnType<typeof generateRecipient>;
  /** share(32) ‖ mask(16), secret. */
  piece?: Uint8Array;
  checkGiven: boolean;
  dealt?: Dealt;
}

/**
 * Shares on their way in: each under a receiving key that lives in this memory only (protocol.md §7,
 * JOIN), pending until they are committed to a vault. A crash ends the attempt, by design.
 */
export class ReceivingKeys {
  readonly #open = new Map<string, Receiving>();

  /** A fresh receiving key: 65 bytes. Throws RECEIVING_EXISTS, RECEIVING_FULL. */
  open(id: string): Uint8Array {
    if (this.#open.has(id)) throw new HsmError("RECEIVING_EXISTS", `there is a receiving key ${id} already`);
    if (this.#open.size >= mostOpen) throw new HsmError("RECEIVING_FULL", `${mostOpen} receiving keys are open`, { remedy: "close those of attempts that have ended", retryable: true });
    const key = generateRecipient();
    this.#open.set(id, { key, checkGiven: false });
    return key.publicKey;
  }

  /** Ends a receiving key and what it received; nothing happens if there is none. */
  close(id: string): void {
    const receiving = this.#open.get(id);
    wipe(receiving?.piece);
    receiving?.dealt?.wipe();
    receiving?.key.destroy();
    this.#open.delete(id);
  }

  /** Opens a sealed share(32) ‖ mask(16), checks the share's digest, holds both. One piece a key. */
  receive(id: string, sealed: SealedBox, info: Uint8Array, aad: Uint8Array, digest: ShareDigest): void {
    const receiving = this.#get(id);
    if (receiving.piece !== undefined) throw new HsmError("PIECE_EXISTS", `${id} has its piece already`);
    const piece = open(receiving.key, sealed.enc, info, aad, sealed.ct);
    try {
      if (piece.length !== shareBytes + maskBytes) throw new HsmError("PIECE_INVALID", `the piece for ${id} has ${piece.length} bytes instead of ${shareBytes + maskBytes}`);
      requireDigest(piece.subarray(0, shareBytes), digest);
    } catch (error) {
      wipe(piece);
      throw error;
    }
    receiving.piece = piece;
  }

  /**
   * R·share ⊕ mask, 16 bytes, once: two values under one mask would give away half of the share.
   * Throws CHECK_ALREADY_GIVEN, PIECE_MISSING.
   */
  checkValue(id: string, seed: Uint8Array, keyId: string): Uint8Array {
    const receiving = this.#get(id);
    const piece = this.#piece(id);
    if (receiving.checkGiven) throw new HsmError("CHECK_ALREADY_GIVEN", `${id} has published its check value`);
    receiving.checkGiven = true;
    const value = applyMatrix(expandMatrix(seed, keyId), piece.subarray(0, shareBytes));
    const mask = piece.subarray(shareBytes);
    mask.forEach((byte, index) => { value[index] = (value[index] ?? 0) ^ byte; });
    wipe(mask);
    return value;
  }

  /** Runs `store` with the pending share, and wipes the piece once it has succeeded. Throws PIECE_MISSING. */
  commit<T>(id: string, store: (share: Uint8Array) => T): T {
    const piece = this.#piece(id);
    const stored = store(piece.subarray(0, shareBytes));
    wipe(piece);
    delete this.#get(id).piece;
    return stored;
  }

  /** What the dealers of a re-shard sent, once an id. Throws DEALT_ALREADY, and as {@link Dealt} does. */
  receiveDealt(id: string, keys: number, dealers: readonly DealtPieces[]): void {
    const receiving = this.#get(id);
    if (receiving.dealt !== undefined) throw new HsmError("DEALT_ALREADY", `${id} has its dealers' pieces already`);
    receiving.dealt = new Dealt(receiving.key, keys, dealers);
  }

  /** Throws PIECE_MISSING before {@link receiveDealt}. */
  dealt(id: string): Dealt {
    const { dealt } = this.#get(id);
    if (dealt === undefined) throw new HsmError("PIECE_MISSING", `${id} holds no dealers' pieces`);
    return dealt;
  }

  #get(id: string): Receiving {
    const receiving = this.#open.get(id);
    if (receiving === undefined) throw new HsmError("RECEIVING_MISSING", `there is no receiving key ${id}`, { remedy: "it was closed, or lost in a restart: the attempt has ended" });
    return receiving;
  }

  #piece(id: string): Uint8Array {
    const { piece } = this.#get(id);
    if (piece === undefined) throw new HsmError("PIECE_MISSING", `${id} holds no piece`);
    return piece;
  }
}

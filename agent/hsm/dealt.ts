import { createHash } from "node:crypto";
import { open, type Recipient } from "../protocol/seal.ts";
import { hasCode } from "../runtime/errors.ts";
import { wipe } from "../runtime/secrets.ts";
import { expandMatrix } from "../sharding/check.ts";
import { holderValue, witnessValue } from "../sharding/reshare.ts";
import { combineShares, requireThreshold, requireXs, type Point } from "../sharding/shamir.ts";
import { HsmError } from "./errors.ts";
import type { DealtBox, DealtPieces, Hsm } from "./hsm.ts";
import { requireDigest, type ShareDigest } from "./shards.ts";

const shareBytes = 32;
const maskBytes = 16;
const tagBytes = 16;
type Side = "holder" | "witness";
type Checked = Awaited<ReturnType<Hsm["holderCheck"]>>;

/**
 * What the t dealers of a re-shard sent to one receiving key (protocol.md §7, CHECK): to a new holder, a witness, or
 * a box that is both. Every mask hides one published value, so each check is given once and its pieces are then wiped.
 */
export class Dealt {
  readonly #keys: number;
  /** By the dealers' old x. A holder's: sub-share(32) of every key ‖ mask(16); a witness's: mask(16). Secret. */
  readonly #pieces: Readonly<Record<Side, readonly Point[]>>;
  readonly #given = new Set<Side>();
  /** Of every key, from the check to the commit. */
  #shares: readonly Uint8Array[] | undefined;
  #wiped = false;

  /** Opens all or keeps nothing. Throws PIECE_INVALID, SHARE_X_INVALID, SHARE_X_DUPLICATE, THRESHOLD_INVALID. */
  constructor(key: Recipient, keys: number, dealers: readonly DealtPieces[]) {
    requireThreshold(dealers.length);
    requireXs(dealers.map(({ x }) => x));
    for (const { x, holder, witness } of dealers) if (holder === undefined && witness === undefined) throw invalid(x, "is missing");
    this.#keys = keys;
    const holder = openPieces(key, keys * shareBytes + maskBytes, dealers.map(({ x, holder }) => ({ x, box: holder })));
    try {
      this.#pieces = { holder, witness: openPieces(key, maskBytes, dealers.map(({ x, witness }) => ({ x, box: witness }))) };
    } catch (error) {
      wipe(...holder.map(({ y }) => y));
      throw error;
    }
  }

  /** Throws CHECK_ALREADY_GIVEN, PIECE_MISSING, PIECE_INVALID. */
  async holderCheck(transcript: Uint8Array, keys: readonly { readonly keyId: string; readonly digestPrefix: Uint8Array }[]): Promise<Checked> {
    const pieces = this.#unpublished("holder", keys.length);
    const matrices = keys.map(({ keyId }) => expandMatrix(transcript, keyId));
    this.#given.add("holder");
    const shares: Uint8Array[] = [];
    const digests: Uint8Array[] = [];
    try {
      const values = pieces.map(({ y }) => holderValue(matrices.map((matrix, index) => ({ matrix, share: subShare(y, index) })), y.subarray(-maskBytes)));
      for (const [index, { digestPrefix }] of keys.entries()) {
        const share = await combineShares(pieces.map(({ x, y }) => ({ x, y: subShare(y, index) })), pieces.length);
        shares.push(share);
        digests.push(new Uint8Array(createHash("sha256").update(digestPrefix).update(share).digest()));
      }
      if (this.#wiped) throw new HsmError("RECEIVING_MISSING", "this receiving key was closed during its check");
      this.#shares = shares;
      return { values, digests };
    } catch (error) {
      wipe(...shares);
      throw error;
    } finally {
      wipe(...pieces.map(({ y }) => y));
    }
  }

  /** `shards` are this box's own. Throws CHECK_ALREADY_GIVEN, PIECE_MISSING, PIECE_INVALID. */
  async witnessCheck(transcript: Uint8Array, shards: readonly { readonly keyId: string; readonly share: Uint8Array }[]): Promise<Uint8Array> {
    const pieces = this.#unpublished("witness", shards.length);
    const terms = shards.map(({ keyId, share }) => ({ matrix: expandMatrix(transcript, keyId), share }));
    this.#given.add("witness");
    try {
      return await witnessValue(terms, pieces);
    } finally {
      wipe(...pieces.map(({ y }) => y));
    }
  }

  /** Runs `store` with each new share beside its entry of `shards`; wipes them once it has succeeded. Throws PIECE_MISSING, CHECK_MISSING, PIECE_INVALID, SHARE_DIGEST_MISMATCH. */
  commit<S extends ShareDigest, T>(shards: readonly S[], store: (shards: readonly (S & { readonly share: Uint8Array })[]) => T): T {
    if (this.#pieces.holder.length > 0 && !this.#given.has("holder")) throw new HsmError("CHECK_MISSING", "a new share is stored only after its check was published");
    const shares = this.#shares;
    if (shares === undefined) throw new HsmError("PIECE_MISSING", "there is no new share to store");
    this.#requireKeys(shards.length);
    const named = shards.map((shard, index) => ({ ...shard, share: shares[index] ?? new Uint8Array(0) }));
    for (const { share, ...digest } of named) requireDigest(share, digest);
    const stored = store(named);
    wipe(...shares);
    this.#shares = undefined;
    return stored;
  }

  wipe(): void {
    this.#wiped = true;
    wipe(...[...this.#pieces.holder, ...this.#pieces.witness].map(({ y }) => y), ...this.#shares ?? []);
    this.#shares = undefined;
  }

  #unpublished(side: Side, keys: number): readonly Point[] {
    if (this.#given.has(side)) throw new HsmError("CHECK_ALREADY_GIVEN", `this ${side} has published its check`);
    if (this.#pieces[side].length === 0) throw new HsmError("PIECE_MISSING", `no dealer sent a ${side}'s piece`);
    this.#requireKeys(keys);
    return this.#pieces[side];
  }

  #requireKeys(count: number): void {
    if (count !== this.#keys) throw new HsmError("PIECE_INVALID", `what was dealt is for ${this.#keys} keys, not ${count}`);
  }
}

function invalid(x: number, what: string, cause?: unknown): HsmError {
  return new HsmError("PIECE_INVALID", `the piece of dealer ${x} ${what}`, { cause, remedy: "that dealer's deal is damaged or for another recipient or attempt: burn this one" });
}

/** The pieces of one kind, all of `length` bytes; none if no dealer sent one. */
function openPieces(key: Recipient, length: number, boxes: readonly { readonly x: number; readonly box: DealtBox | undefined }[]): Point[] {
  if (boxes.every(({ box }) => box === undefined)) return [];
  const pieces: Point[] = [];
  try {
    for (const { x, box } of boxes) pieces.push({ x, y: openPiece(key, length, x, box) });
    return pieces;
  } catch (error) {
    wipe(...pieces.map(({ y }) => y));
    throw error;
  }
}

function openPiece(key: Recipient, length: number, x: number, box: DealtBox | undefined): Uint8Array {
  if (box === undefined) throw invalid(x, "is missing");
  if (box.ct.length !== length + tagBytes) throw invalid(x, `has ${box.ct.length - tagBytes} bytes instead of ${length}`);
  try {
    return open(key, box.enc, box.info, box.info, box.ct);
  } catch (cause) {
    if (!hasCode(cause, "SEAL_INVALID")) throw cause;
    throw invalid(x, "does not open", cause);
  }
}

/** A view, not a copy. */
function subShare(piece: Uint8Array, index: number): Uint8Array {
  return piece.subarray(index * shareBytes, (index + 1) * shareBytes);
}

import { createHash } from "node:crypto";
import { z } from "zod";
import { bytesOf, toBase64url } from "../runtime/encoding.ts";
import { canonical, digest } from "./canonical.ts";
import { evidence } from "./evidence.ts";
import { keyRecord, mostImported } from "./key-record.ts";
import { base64url, base64urlUpTo, counter, hash, id, label, random128, shareX, signature, type Sealed } from "./primitives.ts";
import { requestFields } from "./request.ts";
import { statement } from "./statement.ts";

/**
 * What a re-shard is made of (protocol.md §7): one attempt for a batch of keys that have the same holders.
 * Statements name the plan's hash and, from PREPARED on, one hash over all new records: their number grows
 * with the boxes, not with the keys.
 */
export const mostBatchKeys = 400;

const member = z.strictObject({ box: id, x: shareX });
export type Member = z.infer<typeof member>;
const threshold = z.int().min(2).max(255);

/** One key of a batch; what a new holder cannot know is here, and old holders compare it with what they hold. */
export const planKey = z.strictObject({
  key: label,
  version: counter,
  /** The epoch and the attempt that this plan makes. */
  epoch: counter,
  attempt: counter,
  /** Hash of the record that is re-sharded. */
  previous: hash,
  check: hash,
  imported: base64urlUpTo(mostImported + 1024).nullable(),
});
export type PlanKey = z.infer<typeof planKey>;

/** Why the coordinator plans; only `order` may change more than one holder, and then people approved it. */
export const reshardReason = z.enum(["lost", "quarantined", "spare", "period", "order"]);
export type ReshardReason = z.infer<typeof reshardReason>;

export const reshardPlan = statement("reshard-plan", z.strictObject({
  keys: z.array(planKey).min(1).max(mostBatchKeys),
  kind: z.literal("aes-256"),
  threshold,
  nextThreshold: threshold,
  size: z.int().min(2).max(255),
  margin: z.int().min(0).max(8),
  /** Exactly `threshold` old holders, with their old x. */
  dealers: z.array(member).min(2).max(255),
  /** All live old holders, the dealers among them, with their old x. */
  witnesses: z.array(member).min(2).max(255),
  /** The holders of the new epoch, with their new x. */
  holders: z.array(member).min(2).max(255),
  reason: reshardReason,
  /** The people's request that this plan carries out; null where the coordinator plans by itself. */
  request: random128.nullable(),
}));
export type ReshardPlan = z.infer<typeof reshardPlan>;

/** Everybody who takes part: each has one receiving key, whatever its roles. Sorted by name. */
export function participantsOf({ body }: ReshardPlan): string[] {
  return [...new Set([...body.witnesses, ...body.holders].map(({ box }) => box))].sort();
}

const role = z.enum(["holder", "witness"]);
export type PieceRole = z.infer<typeof role>;

/** DEAL: the dealer is bound to every piece by its hash; the pieces themselves go to their recipients only. */
export const reshardDeal = statement("reshard-deal", z.strictObject({
  plan: hash,
  pieces: z.array(z.strictObject({ box: id, role, hash })).min(2).max(510),
}));
export type ReshardDeal = z.infer<typeof reshardDeal>;

/** CHECK, published once: e_ij about every dealer in the plan's order with the digests of the new shares; the witness's value. */
export const reshardCheck = statement("reshard-check", z.strictObject({
  transcript: hash,
  holder: z.strictObject({ values: z.array(base64url(16)).min(2).max(255), digests: z.array(hash).min(1).max(mostBatchKeys) }).nullable(),
  witness: base64url(16).nullable(),
}));
export type ReshardCheck = z.infer<typeof reshardCheck>;

const ofBatch = z.strictObject({ plan: hash, batch: hash });
/** PREPARED: every new share is durable as *next*, read back, opened. */
export const batchPrepared = statement("batch-prepared", ofBatch);
export type BatchPrepared = z.infer<typeof batchPrepared>;
/** ACTIVATED: the new records are *current* here, the old ones kept. Never together with BURN of the same plan. */
export const batchActivated = statement("batch-activated", ofBatch);
export type BatchActivated = z.infer<typeof batchActivated>;
/** BURN: this box has not activated this attempt and never will. */
export const batchBurn = statement("batch-burn", z.strictObject({ plan: hash }));
export type BatchBurn = z.infer<typeof batchBurn>;
const gone = z.array(id).min(1).max(255);
/**
 * RESOLVED: the one answer of this box to people who say who is gone, for ever and for this list only. `old`: it has not
 * settled, and goes back or forward only by the answers of all; `settled`: D was in its hand.
 */
export const batchResolved = statement("batch-resolved", z.strictObject({ plan: hash, gone, holds: z.enum(["old", "settled"]) }));
export type BatchResolved = z.infer<typeof batchResolved>;
/**
 * DESTROYED: nothing at this box opens them any more, the *old* shards after D, the *next* ones after BURN. On
 * SoftHSM that is the deletion of files (protocol.md §6), and the statement says so.
 */
export const batchDestroyed = statement("batch-destroyed", z.strictObject({ plan: hash, of: z.enum(["old", "next"]), hsm: z.enum(["hardware", "software"]) }));
export type BatchDestroyed = z.infer<typeof batchDestroyed>;

/**
 * PROVED: an attested operation on *next* of an attempt with only t witnesses, and that its enclave signed a result. An
 * enclave does so only where the shards gave the key of the record's check value.
 */
export const provedUse = z.strictObject({ fields: requestFields, evidence: z.array(evidence).min(1).max(16), result: hash, sig: signature });
export type ProvedUse = z.infer<typeof provedUse>;

/** What the boxes that are not `gone` (sorted by name) have answered: all of them, or at least two that have settled. */
export const resolution = z.strictObject({ gone, answers: z.array(batchResolved).min(2).max(255) });
export type Resolution = z.infer<typeof resolution>;
/** Certificate D: the new epoch is in force, the old one may be destroyed. A box that has answered asks for `resolution` as well. */
export const settlement = z.strictObject({ plan: reshardPlan, batch: hash, activated: z.array(batchActivated).min(2).max(255), resolution: resolution.optional() });
export type Settlement = z.infer<typeof settlement>;
/** The BURN certificate, or that all who are not gone have answered `old`: the attempt can never come into force. */
export const burial = z.union([
  z.strictObject({ plan: reshardPlan, burns: z.array(batchBurn).min(2).max(255) }),
  z.strictObject({ plan: reshardPlan, resolution }),
]);
export type Burial = z.infer<typeof burial>;

/** A record that a re-shard made, with its certificate P. */
export const reshardedRecord = z.strictObject({ record: keyRecord, plan: reshardPlan, records: z.array(hash).min(1).max(mostBatchKeys), prepared: z.array(batchPrepared).min(2).max(255) });

/** One hash over the new records' hashes, in the plan's order. */
export function batchHash(site: string, planHash: string, records: readonly string[]): string {
  return toBase64url(digest("reshard-batch", site, { plan: planHash, records }));
}

/** How a DEAL names a sealed piece. */
export function pieceHash(site: string, { enc, ct }: Sealed): string {
  // Hashed as bytes: the ciphertext of a large batch is large.
  const inner = createHash("sha256").update(bytesOf(enc)).update(bytesOf(ct)).digest();
  return toBase64url(digest("reshard-piece-hash", site, { piece: new Uint8Array(inner) }));
}

/** HPKE info and AAD of a dealt piece. */
export function reshardPieceContext(site: string, planHash: string, dealer: string, recipient: string, of: PieceRole): Uint8Array {
  return canonical("reshard-piece", site, { plan: planHash, dealer, recipient, role: of });
}

import { createHash } from "node:crypto";
import { z } from "zod";
import { toBase64url } from "../runtime/encoding.ts";
import { canonical, digest } from "./canonical.ts";
import { counter, hash, id, label, publicKey, random128, resource } from "./primitives.ts";
import { operation, type Operation } from "./site-rule.ts";
import { statement } from "./statement.ts";

/** What operations `record` and `readmit` are asked of: the site's only record, so that no choice of resource chooses a rule. */
export const recordTarget = { key: "site", resource: "record" } as const;

/** How a new key shall be: read only with operation `create`. */
export const keyParameters = z.strictObject({
  kind: z.literal("aes-256"),
  threshold: z.int().min(2).max(255),
  holders: z.array(id).min(2).max(255),
  /** The payload is a secret to keep: wrapped under the new key, it becomes part of the key's record. */
  imported: z.boolean().default(false),
});
export type KeyParameters = z.infer<typeof keyParameters>;

/** How a key shall be from its next epoch on: read only with operation `reshard`. What is absent stays as it is. */
export const reshardParameters = z.strictObject({
  threshold: z.int().min(2).max(255).optional(),
  /** How many holders; absent where they are named: as many as those. */
  size: z.int().min(3).max(255).optional(),
  margin: z.int().min(0).max(8).optional(),
  /** Exactly these boxes. Absent: just so many leave, or may come, as the size says. */
  holders: z.array(id).min(3).max(255).refine((boxes) => new Set(boxes).size === boxes.length, "a box stands twice").optional(),
});
export type ReshardParameters = z.infer<typeof reshardParameters>;

/** Who will not answer any more in an attempt that can not end: read only with operation `recover`. */
export const recoverParameters = z.strictObject({
  gone: z.array(id).min(1).max(255).refine((boxes) => new Set(boxes).size === boxes.length, "a box stands twice"),
});
export type RecoverParameters = z.infer<typeof recoverParameters>;

/** What a client wants, signed by its identity key (protocol.md §3). */
export const useBody = z.strictObject({
  request: random128,
  reason: z.string().min(1).max(200),
  key: label,
  operation,
  resource,
  /** SHA-256 of {@link commitmentPrefix} ‖ salt (32) ‖ payload; with operations `record` and `readmit` the hash of the next version. */
  commitment: hash,
  /** HPKE recipient of the result. */
  resultKey: publicKey,
  create: keyParameters.optional(),
  reshard: reshardParameters.optional(),
  recover: recoverParameters.optional(),
});
export type UseBody = z.infer<typeof useBody>;

/** What must stand in a request exactly with the operation of that name. */
export const parametersOf = { create: "key", reshard: "re-shard", recover: "recovery" } as const;

/**
 * Whether people approve a step of a re-shard, or a version of the site record: nothing is combined, no enclave takes
 * part, no holder is challenged.
 */
export function isApproval(wanted: Operation): wanted is "reshard" | "recover" | "record" | "readmit" {
  return wanted === "reshard" || wanted === "recover" || isOfRecord(wanted);
}

/** Whether what people approve is the next version of the site record. */
export function isOfRecord(wanted: Operation): wanted is "record" | "readmit" {
  return wanted === "record" || wanted === "readmit";
}

export const use = statement("use", useBody);
export type Use = z.infer<typeof use>;

/** How a version of the site record is named in requests. */
export const siteRecordRef = z.strictObject({ version: counter, hash });
export type SiteRecordRef = z.infer<typeof siteRecordRef>;

export const enclaveKeys = z.strictObject({
  /** HPKE recipient of payload and shards. */
  seal: publicKey,
  /** Signs deals and results. */
  sign: publicKey,
});
export type EnclaveKeys = z.infer<typeof enclaveKeys>;

/**
 * Everything a request is bound to. Prompt, challenge and evidence check carry these fields, never a
 * bare digest; everyone recomputes it (protocol.md §3).
 */
export const requestFields = z.strictObject({
  use,
  epoch: counter,
  attempt: counter,
  /** Hash of the key's record; of its PLAN where the key is being made; of the site record's next version. */
  record: hash,
  enclave: enclaveKeys,
  coordinator: z.strictObject({ id, boot: random128 }),
  siteRecord: siteRecordRef,
  /** How long the request lives, in ms from when a party first sees it, on that party's monotonic clock. */
  deadlineMs: z.int().min(1000).max(600_000),
  /** One recent nonce a box, sorted by box. */
  nonces: z.array(z.strictObject({ box: id, nonce: random128 })).min(1).max(255),
});
export type RequestFields = z.infer<typeof requestFields>;

/** The same of a request by which nothing is combined ({@link isApproval}). Key and record are those of its PLAN. */
export const approvalFields = requestFields.omit({ enclave: true });
export type ApprovalFields = z.infer<typeof approvalFields>;
export const anyFields = z.union([requestFields, approvalFields]);
export type AnyFields = z.infer<typeof anyFields>;

/** The request digest, 32 bytes as base64url. */
export function requestDigest(fields: AnyFields): string {
  return toBase64url(digest("request", fields.use.site, fields));
}

/** The four digits that requester, CLI and every display show for one digest. */
export function requestCode(requestDigestText: string): string {
  const number = createHash("sha256").update("shardkeep/v1/code").update(requestDigestText).digest().readUInt32BE(0);
  return String(number % 10_000).padStart(4, "0");
}

export interface RecordName {
  readonly key: string;
  readonly epoch: number;
  readonly attempt: number;
}

/** What a holder MACs to answer a challenge (protocol.md §3). */
export function challengeMessage(site: string, nonce: string, digest: string, { key, epoch, attempt }: RecordName, box: string): Uint8Array {
  return canonical("challenge", site, { nonce, digest, key, epoch, attempt, box });
}

import { z } from "zod";
import { toBase64url } from "../runtime/encoding.ts";
import { oncePer } from "../runtime/once.ts";
import { canonical, digest } from "./canonical.ts";
import { base64url, base64urlUpTo, counter, hash, id, label, publicKey, random128, sealedUpTo, shareX } from "./primitives.ts";
import { statement } from "./statement.ts";

/** Most bytes of an imported secret. */
export const mostImported = 16 * 1024;

/** PLAN (protocol.md §7); for a birth the enclave of one request is the only dealer. */
export const planBody = z.strictObject({
  request: random128,
  key: label,
  kind: z.literal("aes-256"),
  epoch: counter,
  attempt: counter,
  threshold: z.int().min(2).max(255),
  holders: z.array(z.strictObject({ box: id, x: shareX })).min(2).max(255),
  previous: hash.nullable(),
});
export const plan = statement("plan", planBody);
export type Plan = z.infer<typeof plan>;

/** JOIN: a fresh, memory-only receiving key, signed in the holder's HSM. */
export const join = statement("join", z.strictObject({ plan: hash, key: publicKey }));
export type Join = z.infer<typeof join>;

const shareDigest = z.strictObject({ box: id, x: shareX, digest: hash });

/** DEAL: one piece a holder (share 32 ‖ mask 16, HPKE-sealed), and what all may know. Signed by the dealer. */
export const deal = statement("deal", z.strictObject({
  plan: hash,
  pieces: z.array(z.strictObject({ box: id, piece: sealedUpTo(48) })).min(2).max(255),
  digests: z.array(shareDigest).min(2).max(255),
  check: hash,
  imported: base64urlUpTo(mostImported + 1024).nullable(),
}));
export type Deal = z.infer<typeof deal>;

/** SEALED(T): this is the one transcript of this attempt for me. */
export const sealed = statement("sealed", z.strictObject({ transcript: hash }));
export type SealedStatement = z.infer<typeof sealed>;

/** CHECK: R·share + mask, published once; all of them lie on a polynomial of degree < t or the deal is bad. */
export const check = statement("check", z.strictObject({ transcript: hash, value: base64url(16) }));
export type Check = z.infer<typeof check>;

/** The record of one epoch: public, named by its hash, in force with all PREPARED (certificate P). */
export const keyRecord = z.strictObject({
  site: id,
  key: label,
  kind: z.literal("aes-256"),
  version: counter,
  epoch: counter,
  attempt: counter,
  threshold: z.int().min(2).max(255),
  /** How many holders the key shall have; fewer while a box is missing. Changed only with people's evidence. */
  size: z.int().min(2).max(255),
  /** How many holders more than the threshold there must be, or a re-shard holds (protocol.md §7, Limits). */
  margin: z.int().min(0).max(8),
  holders: z.array(shareDigest).min(2).max(255),
  /** Working key of use `check`: tells a right combination from a wrong one. */
  check: hash,
  plan: hash,
  previous: hash.nullable(),
  imported: base64urlUpTo(mostImported + 1024).nullable(),
});
export type KeyRecord = z.infer<typeof keyRecord>;

/** Names a record, base64url of 32 bytes; once a record. */
export const keyRecordHash = oncePer((record: KeyRecord) => toBase64url(digest("key-record", record.site, record)));

const ofRecord = z.strictObject({ record: hash, key: label, epoch: counter, attempt: counter });
/** PREPARED: stored durably as *next*, read back, opened. */
export const prepared = statement("prepared", ofRecord);
export type Prepared = z.infer<typeof prepared>;
/** ACTIVATED: this record is *current* here. */
export const activated = statement("activated", ofRecord);
export type Activated = z.infer<typeof activated>;

/** A record with its certificate P. */
export const certifiedRecord = z.strictObject({ record: keyRecord, prepared: z.array(prepared).min(2).max(255) });
export type CertifiedRecord = z.infer<typeof certifiedRecord>;

/** T = hash(PLAN, JOINs, DEALs): all sign the same one before anybody goes on. */
export function transcriptHash(site: string, planHash: string, joins: readonly string[], deals: readonly string[]): string {
  return toBase64url(digest("transcript", site, { plan: planHash, joins, deals }));
}

export interface ShareName {
  readonly key: string;
  readonly epoch: number;
  readonly attempt: number;
  readonly box: string;
  readonly x: number;
}

/** What is hashed before a share to give its digest. */
export function sharePrefix(site: string, { key, epoch, attempt, box, x }: ShareName): Uint8Array {
  return canonical("share", site, { key, epoch, attempt, box, x });
}

/** AAD of a shard at rest (protocol.md §6). */
export function atRestAad(site: string, { key, epoch, attempt, x }: ShareName, record: string): Uint8Array {
  return canonical("shard-at-rest", site, { key, epoch, attempt, x, record });
}

/** HPKE info and AAD of a dealt piece. */
export function pieceContext(site: string, planHash: string, dealer: string, recipient: string, key: string): Uint8Array {
  return canonical("piece", site, { plan: planHash, dealer, recipient, key });
}

/** HPKE info of a shard on its way to an enclave: bound to one request. */
export function releaseContext(site: string, requestDigest: string, name: ShareName, record: string): Uint8Array {
  const { key, epoch, attempt, box, x } = name;
  return canonical("release", site, { digest: requestDigest, key, epoch, attempt, box, x, record });
}

import { z } from "zod";
import { approval } from "./approval.ts";
import { canonical } from "./canonical.ts";
import { counter, hash, id, label, publicKey, signature } from "./primitives.ts";
import { siteRecordRef, type SiteRecordRef } from "./request.ts";
import { rule } from "./site-rule.ts";
import { statement, statementHash, type Signed } from "./statement.ts";

export { operation, resourcePattern, rule, type Operation, type Rule } from "./site-rule.ts";
export { siteRecordRef, type SiteRecordRef };

export const finger = z.strictObject({
  name: label,
  box: id,
  slot: z.int().min(0).max(4095),
  /** SHA-256 over {@link templatePrefix} ‖ template. */
  template: hash,
});

/** What may be written by hand in `site apply FILE`; boxes, fingers and keys come from the machines. */
export const sitePolicy = z.strictObject({
  roles: z.array(label).max(64),
  people: z.array(z.strictObject({ id, roles: z.array(label).max(16) })).max(1000),
  clients: z.array(z.strictObject({ id, person: id.optional(), admin: z.boolean().default(false) })).max(1000),
  rules: z.array(rule).max(1000),
  noZoneHoldsThreshold: z.boolean().optional(),
});
export type SitePolicy = z.infer<typeof sitePolicy>;

const dayMs = 86_400_000;

/**
 * Who may give the site new administrators when it has none (docs/decisions/0009): an ES256 key that is made offline and
 * split among custodians. What it signs comes into force at a party that has itself run for `delayMs` since it heard of it.
 */
export const recovery = z.strictObject({ key: publicKey, delayMs: z.int().min(1000).max(366 * dayMs) });
export type Recovery = z.infer<typeof recovery>;

export const siteRecordBody = z.strictObject({
  version: counter,
  previous: hash.nullable(),
  sealed: z.boolean(),
  authority: publicKey,
  /** SHA-256 of the TLS authority's certificate (DER). */
  tlsAuthority: hash,
  coordinator: z.strictObject({ id, key: publicKey }),
  /** `readmitted`: the version that lifted a quarantine of this box, and every one from before it (protocol.md §8). */
  boxes: z.array(z.strictObject({ id, zone: label, key: publicKey, readmitted: counter.optional() })).max(255),
  people: z.array(z.strictObject({ id, roles: z.array(label).max(16), fingers: z.array(finger).max(64) })).max(1000),
  /** A client acts for a person or, without one, is a service. */
  clients: z.array(z.strictObject({ id, key: publicKey, person: id.optional(), admin: z.boolean() })).max(1000),
  roles: z.array(label).max(64),
  rules: z.array(rule).max(1000),
  /** No zone may hold a threshold of any key's shards (design §12); absent is false, as in records made before there was this. */
  noZoneHoldsThreshold: z.boolean().optional(),
  /** Boxes and clients that have left. Old key records and shards go by these names: they are nobody else's ever again. */
  retired: z.array(id).max(10_000).optional(),
  recovery: recovery.optional(),
});
export type SiteRecordBody = z.infer<typeof siteRecordBody>;
/**
 * A version as it travels: signed by the authority, and once the version before it is sealed with the approval under
 * rule `record` of that one (protocol.md §2), or in its place the recovery key's signature over {@link recoveryMessage}.
 * Neither is under the authority's signature: both name the version's hash.
 */
export const siteRecord = statement("site-record", siteRecordBody).extend({ approval: approval.optional(), recovery: signature.optional() });
export type SiteRecord = z.infer<typeof siteRecord>;

export function refOf(record: Signed<SiteRecordBody>): SiteRecordRef {
  return { version: record.body.version, hash: statementHash(record) };
}

/** The hash that a version will have: what its approval names, before anybody has signed it. */
export function recordHashOf({ site, by }: Pick<SiteRecord, "site" | "by">, body: SiteRecordBody): string {
  return statementHash({ type: "site-record", site, by, body, sig: "" });
}

/** What the recovery key signs: one step of this site's record, from hash to hash. */
export function recoveryMessage(site: string, previous: string, next: string): Uint8Array {
  return canonical("site-recovery", site, { previous, next });
}

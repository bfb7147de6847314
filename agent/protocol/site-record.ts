import { z } from "zod";
import { approval } from "./approval.ts";
import { counter, hash, id, label, publicKey } from "./primitives.ts";
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
});
export type SiteRecordBody = z.infer<typeof siteRecordBody>;
/**
 * A version as it travels: signed by the authority, and once the version before it is sealed with the approval under
 * rule `record` of that one (protocol.md §2). The approval is not under the signature: it names the version's hash.
 */
export const siteRecord = statement("site-record", siteRecordBody).extend({ approval: approval.optional() });
export type SiteRecord = z.infer<typeof siteRecord>;

export function refOf(record: Signed<SiteRecordBody>): SiteRecordRef {
  return { version: record.body.version, hash: statementHash(record) };
}

/** The hash that a version will have: what its approval names, before anybody has signed it. */
export function recordHashOf({ site, by }: Pick<SiteRecord, "site" | "by">, body: SiteRecordBody): string {
  return statementHash({ type: "site-record", site, by, body, sig: "" });
}

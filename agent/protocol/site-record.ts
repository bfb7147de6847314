import { z } from "zod";
import { counter, hash, id, label, publicKey, resource } from "./primitives.ts";
import { statement, statementHash, type Signed } from "./statement.ts";

/**
 * What can be asked of a key; `create` makes it, `reshard` changes threshold, size or several holders, `recover` says
 * which boxes are gone where an attempt can not end, and the record's own operations come under `key: site`.
 */
export const operation = z.enum(["create", "encrypt", "decrypt", "wrap", "unwrap", "mac", "reshard", "recover"]);
export type Operation = z.infer<typeof operation>;

/** A resource pattern: `*` is one segment, a last `**` is any rest, also none. */
export const resourcePattern = z.string().max(200).regex(/^(?:\*\*|(?:[A-Za-z0-9._@+-]+|\*)(?:\/(?:[A-Za-z0-9._@+-]+|\*))*(?:\/\*\*)?)$/, "segments, * for one, /** at the end for any rest");

const role = z.strictObject({ role: label, people: z.int().min(1).max(16) });
const person = z.strictObject({ person: id });

/** One line of policy (design §8). The first rule that names key, operation and resource governs. */
export const rule = z.strictObject({
  key: label,
  resource: resourcePattern.default("**"),
  operations: z.array(operation).min(1),
  /** Who puts a finger on a sensor; never empty. Nobody counts twice. */
  require: z.array(z.union([role, person])).min(1).max(16),
  /** The requester's own finger: must be among those that count, may be, or never counts. */
  requester: z.enum(["must-attest", "may", "never"]).default("never"),
  confirm: z.enum(["none", "code", "button"]).default("none"),
  /** Each finger at another box: a rooted box can be any one person (protocol.md §3). */
  distinctBoxes: z.boolean().default(true),
  /** Releases per holder, counted by each on its own monotonic clock. */
  limit: z.string().regex(/^[1-9][0-9]{0,5}\/(?:minute|hour|day)$/, "like 20/hour").optional(),
});
export type Rule = z.infer<typeof rule>;

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
  boxes: z.array(z.strictObject({ id, zone: label, key: publicKey })).max(255),
  people: z.array(z.strictObject({ id, roles: z.array(label).max(16), fingers: z.array(finger).max(64) })).max(1000),
  /** A client acts for a person or, without one, is a service. */
  clients: z.array(z.strictObject({ id, key: publicKey, person: id.optional(), admin: z.boolean() })).max(1000),
  roles: z.array(label).max(64),
  rules: z.array(rule).max(1000),
  /** No zone may hold a threshold of any key's shards (design §12); absent is false, as in records made before there was this. */
  noZoneHoldsThreshold: z.boolean().optional(),
});
export type SiteRecordBody = z.infer<typeof siteRecordBody>;
export const siteRecord = statement("site-record", siteRecordBody);
export type SiteRecord = z.infer<typeof siteRecord>;

/** How a version of the record is named in requests. */
export const siteRecordRef = z.strictObject({ version: counter, hash });
export type SiteRecordRef = z.infer<typeof siteRecordRef>;

export function refOf(record: Signed<SiteRecordBody>): SiteRecordRef {
  return { version: record.body.version, hash: statementHash(record) };
}

export { resource };

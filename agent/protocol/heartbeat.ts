import { z } from "zod";
import { toBase64url } from "../runtime/encoding.ts";
import { canonical, digest } from "./canonical.ts";
import { counter, hash, id, label, random128 } from "./primitives.ts";
import { siteRecord, siteRecordRef } from "./site-record.ts";

/** One shard a box holds. */
export const holding = z.strictObject({
  key: label, epoch: counter, attempt: counter, record: hash,
  state: z.enum(["old", "current", "next"]),
});
export type Holding = z.infer<typeof holding>;

/** One hash over all that a box holds, base64url of 32 bytes: the heartbeat's inventory. */
export function inventoryHash(site: string, box: string, holdings: readonly Holding[]): string {
  return toBase64url(digest("inventory", site, { box, holdings }));
}

/** What a box's HSM MACs under its challenge secret when it is asked for work; `nonce` is base64url of 16 bytes. */
export function probeMessage(site: string, nonce: string, box: string): Uint8Array {
  return canonical("probe", site, { nonce, box });
}

/** What the coordinator thinks of a box (design §11; the transitions are in agent/rules/liveness.ts). */
export const liveness = z.enum(["never-seen", "ready", "suspect", "probed", "lost", "returning", "maintenance", "quarantined"]);
export type Liveness = z.infer<typeof liveness>;

/** A box's signed sign of life (design §11). Claims may grow: unknown fields are let through. */
export const boxHeartbeat = z.looseObject({
  counter,
  nonce: random128,
  siteRecord: siteRecordRef.nullable(),
  hsm: z.looseObject({ ok: z.boolean(), backing: z.enum(["software", "hardware"]), detail: z.string().max(200).optional() }),
  sensor: z.looseObject({ state: z.string().max(32), emulated: z.boolean() }),
  /** What its panel says, if it is to have one; `tamper` as in docs/panel.md. */
  panel: z.looseObject({
    state: z.string().max(32), emulated: z.boolean(), latch: z.boolean().optional(), display: z.boolean().optional(),
    tamper: z.looseObject({
      open: z.boolean(), latched: z.boolean(), damaged: z.boolean(), counter: z.int().min(0).max(0xffffffff),
      unwatched: z.looseObject({ from: z.int().min(0), to: z.int().min(0) }).nullable(),
    }).optional(),
  }).optional(),
  /** SHA-256 over all holdings; the list itself comes when it changed. */
  inventory: hash,
  holdings: z.array(holding).max(3000).optional(),
  /** The next shard in turn was opened and its digest checked: a heartbeat that only pings is a lie. */
  verified: z.strictObject({ key: label, ok: z.boolean() }).nullable(),
  /** A version under the recovery key waits here; `leftMs` of this box's own running time are left. */
  recovery: z.looseObject({ version: counter, hash, leftMs: z.int().min(0) }).optional(),
  uptimeS: z.int().min(0),
  /** Resident memory of the agent, MiB. */
  memoryMiB: z.int().min(0).optional(),
  version: z.string().max(32),
});
export type BoxHeartbeat = z.infer<typeof boxHeartbeat>;

export const coordinatorHeartbeat = z.looseObject({
  counter,
  nonce: random128,
  siteRecord: siteRecordRef,
});
export type CoordinatorHeartbeat = z.infer<typeof coordinatorHeartbeat>;

/** The events that are published, and to whom: their name in the envelope is `event/<name>`. */
export const events = {
  heartbeat: boxHeartbeat,
  coordinator: coordinatorHeartbeat,
  record: z.strictObject({ record: siteRecord }),
  state: z.looseObject({ state: z.enum(["ready", "lost", "stopped"]) }),
  event: z.looseObject({ what: z.string().max(64), box: id.optional() }),
} as const;

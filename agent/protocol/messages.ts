import { z } from "zod";
import { approval } from "./approval.ts";
import { evidence, enrolled } from "./evidence.ts";
import { boxHeartbeat, liveness } from "./heartbeat.ts";
import { boxAnswer, boxRequest } from "./joining.ts";
import { activated, certifiedRecord, check, deal, join, keyRecord, plan, prepared, sealed } from "./key-record.ts";
import { base64url, counter, hash, id, label, publicKey, random128, sealedUpTo, signature } from "./primitives.ts";
import { anyFields, enclaveKeys, requestFields, use } from "./request.ts";
import {
  batchActivated, batchBurn, batchDestroyed, batchPrepared, batchResolved, burial, mostBatchKeys, provedUse, reshardCheck, reshardDeal, reshardedRecord, reshardPlan, settlement,
} from "./reshard.ts";
import { recovery, rule, sitePolicy, siteRecord, siteRecordBody, siteRecordRef } from "./site-record.ts";

/**
 * The requests that cross the wire, each with its answer; `part` is what may come before the answer.
 * The name in the envelope is `request/<name>`, the answer `response/<name>`.
 */
export interface RequestSchema {
  readonly request: z.ZodType;
  readonly response: z.ZodType;
  readonly part?: z.ZodType;
  /** False only where nothing can be fresh yet: the first word between two parties. */
  readonly fresh?: false;
}
export type RequestTable = Readonly<Record<string, RequestSchema>>;

const nothing = z.strictObject({});
/** Largest payload or result of one operation, bytes; files go by envelope encryption. */
export const mostPayload = 64 * 1024;

/** Why a touch did not become evidence. */
export const refusedFinger = z.enum(["unknown-finger", "template-changed", "poor-image", "not-permitted", "not-confirmed", "no-button"]);
export type RefusedFinger = z.infer<typeof refusedFinger>;

/** Longest time for which a box shows which one it is, ms. */
export const mostIdentifyMs = 600_000;
const identifyMs = z.int().min(1000).max(mostIdentifyMs);
/** `shows`: the state by its name in docs/panel.md; `on`: `ring` where only that of the sensor is there. */
const identified = z.strictObject({ shows: z.string().max(32), on: z.enum(["panel", "ring"]) });

const piece = sealedUpTo(32 * mostBatchKeys + 16);
const destroyed = z.strictObject({ destroyed: batchDestroyed.nullable() });

/** Coordinator → box, the steps of one attempt (protocol.md §7). Each may be repeated and is answered alike. */
const reshardRequests = {
  /** `approval`: the people's request and evidence that the plan carries out. */
  "reshard-join": {
    request: z.strictObject({ plan: reshardPlan, approval: approval.nullable() }),
    response: z.strictObject({ join }),
  },
  /** To a dealer; the pieces come back in the order of the deal. */
  "reshard-deal": {
    request: z.strictObject({ plan: hash, joins: z.array(join).max(255) }),
    response: z.strictObject({ deal: reshardDeal, pieces: z.array(piece).max(510) }),
  },
  /** What every dealer dealt to this box, in the plan's order of dealers. */
  "reshard-seal": {
    request: z.strictObject({
      plan: hash, joins: z.array(join).max(255), deals: z.array(reshardDeal).max(255),
      pieces: z.array(z.strictObject({ holder: piece.nullable(), witness: piece.nullable() })).max(255),
    }),
    response: z.strictObject({ sealed }),
  },
  "reshard-check": { request: z.strictObject({ plan: hash, sealed: z.array(sealed).max(255) }), response: z.strictObject({ check: reshardCheck }) },
  "reshard-prepare": { request: z.strictObject({ plan: hash, checks: z.array(reshardCheck).max(255) }), response: z.strictObject({ prepared: batchPrepared }) },
  /** Certificate P; `proof` where there were only t witnesses. */
  "reshard-activate": { request: z.strictObject({ plan: hash, prepared: z.array(batchPrepared).max(255), proof: provedUse.nullable() }), response: z.strictObject({ activated: batchActivated }) },
  /** Certificate D; null while a request on the old epoch still runs here. */
  "reshard-settle": { request: settlement, response: destroyed },
  "reshard-burn": { request: z.strictObject({ plan: reshardPlan }), response: z.strictObject({ burn: batchBurn }) },
  /** After a burnt attempt: a dealer opens its seal to a holder whose CHECK is not what it dealt, and no other. */
  "reshard-reveal": { request: z.strictObject({ plan: hash, check: reshardCheck }), response: z.strictObject({ ephemeral: base64url(32) }) },
  /** People say who is gone: the box's one answer for ever; where it has settled, with certificate D by which it did. */
  "reshard-resolve": {
    request: z.strictObject({ plan: reshardPlan, approval: approval }),
    response: z.strictObject({ resolved: batchResolved, activated: z.array(batchActivated).max(255) }),
  },
  /** The BURN certificate; null while what is to be destroyed is not yet. */
  "reshard-bury": { request: burial, response: destroyed },
} as const satisfies RequestTable;

/** Coordinator → box. */
export const boxRequests = {
  /** The site record's versions after the one that the box has, oldest first. */
  record: { request: z.strictObject({ chain: z.array(siteRecord).min(1).max(32) }), response: siteRecordRef },
  prompt: {
    /** `next`: with operation `record` the version that is to be approved, so that the box can say what changes. */
    request: z.strictObject({ fields: anyFields, next: siteRecordBody.optional() }),
    part: z.discriminatedUnion("state", [
      z.strictObject({ state: z.literal("queued") }),
      z.strictObject({ state: z.literal("shown"), display: z.enum(["none", "console", "lcd"]) }),
      z.strictObject({ state: z.literal("refused"), reason: refusedFinger }),
    ]),
    response: z.strictObject({ evidence }),
  },
  "prompt-cancel": { request: z.strictObject({ digest: hash }), response: nothing },
  challenge: {
    request: z.strictObject({ fields: requestFields, evidence: z.array(evidence).max(16), nonce: random128 }),
    response: z.strictObject({ mac: base64url(32) }),
  },
  release: { request: z.strictObject({ digest: hash }), response: z.strictObject({ shard: sealedUpTo(32) }) },
  /** To a holder that was challenged and not asked for its shard. */
  "operation-over": { request: z.strictObject({ digest: hash }), response: nothing },
  "birth-join": { request: z.strictObject({ plan }), response: z.strictObject({ join }) },
  "birth-deal": {
    request: z.strictObject({ fields: requestFields, evidence: z.array(evidence).max(16), plan, joins: z.array(join).max(255), deal }),
    response: z.strictObject({ sealed }),
  },
  "birth-check": { request: z.strictObject({ transcript: hash, sealed: z.array(sealed).max(255) }), response: z.strictObject({ check }) },
  "birth-prepare": { request: z.strictObject({ transcript: hash, checks: z.array(check).max(255) }), response: z.strictObject({ prepared }) },
  /**
   * Of another box: its evidence counts no more until a record version after `since` lifts it (protocol.md §8). With
   * `counter` it tells the box itself that its opening of that name was noted.
   */
  quarantine: { request: z.strictObject({ box: id, reason: z.string().max(64), since: counter.optional(), counter: z.int().min(0).max(0xffffffff).optional() }), response: nothing },
  activate: { request: certifiedRecord, response: z.strictObject({ activated }) },
  ...reshardRequests,
  enrol: {
    request: z.strictObject({ person: id, finger: label }),
    part: z.strictObject({ step: z.enum(["touch", "lift", "captured"]), n: z.int().min(0), of: z.int().min(0) }),
    response: z.strictObject({ enrolled, sensor: z.enum(["device", "emulated"]) }),
  },
  /** For `forMs` ms the box shows which one it is; the answer says what is seen, and where. */
  identify: { request: z.strictObject({ forMs: identifyMs }), response: identified },
  unenrol: { request: z.strictObject({ person: id, finger: label }), response: nothing },
  /** Work instead of a sign of life (design §11): the HSM's MAC over the nonce, and the next shard in turn opened. */
  probe: { request: z.strictObject({ nonce: random128 }), response: z.strictObject({ mac: base64url(32), inventory: hash, verified: boxHeartbeat.shape.verified }) },
} as const satisfies RequestTable;

/** How an operation goes on, as its requester sees it. */
export const usePart = z.discriminatedUnion("state", [
  z.strictObject({ state: z.literal("accepted"), fields: anyFields, rule }),
  z.strictObject({ state: z.literal("waiting"), have: z.array(z.strictObject({ box: id, person: id })), still: z.string().max(400) }),
  z.strictObject({ state: z.literal("refused-finger"), box: id, reason: refusedFinger }),
  z.strictObject({ state: z.literal("challenged"), holders: z.array(id) }),
  z.strictObject({ state: z.literal("answered"), box: id }),
  z.strictObject({ state: z.literal("released"), holders: z.array(id) }),
  z.strictObject({ state: z.literal("taken"), box: id, version: counter }),
  z.strictObject({ state: z.literal("birth"), step: z.enum(["dealt", "sealed", "checked", "prepared", "activated"]) }),
]);
export type UsePart = z.infer<typeof usePart>;

/** The enclave's signed result: binds a sealed result to one request. */
export const resultBody = z.strictObject({ digest: hash, result: hash });

export const boxStatus = z.strictObject({
  box: id, zone: label, state: liveness,
  hsm: z.string(), sensor: z.string(), emulated: z.boolean(), holdings: z.int(), siteRecord: z.int(),
  /** How long it has been in this state, ms. */
  sinceMs: z.int().min(0),
  /** `none`: the box has none. */
  panel: z.string(), panelEmulated: z.boolean(),
  /** It works, but its HSM, its sensor or its panel is not in order. */
  degraded: z.boolean(),
  /** How long it has still to run until a version under the recovery key is in force there; null where none waits. */
  recoveryMs: z.int().min(0).nullable(),
});
/** A version under the recovery key that waits: `leftMs` of the coordinator's own running time are left. */
export const recoveryStatus = z.strictObject({ version: counter, hash, leftMs: z.int().min(0) });
/** What is left of a past epoch, or of an attempt at the next one that was burnt. */
export const exposure = z.strictObject({ epoch: counter, attempt: counter, threshold: z.int(), open: z.array(id), software: z.int(), hardware: z.int() });
export const keyStatus = z.strictObject({
  key: label, kind: z.string(), epoch: counter, threshold: z.int(), holders: z.array(id), live: z.int(), record: hash, imported: z.boolean(),
  /** How many holders it shall have. */
  size: z.int(),
  /** The phase of a re-shard that is not decided. */
  reshard: z.enum(["planned", "unproven", "certified", "burning", "resolving"]).nullable(),
  /** Why it is not re-sharded although it should be. */
  held: z.string().max(64).nullable(),
  exposures: z.array(exposure),
});

/** Client → coordinator. */
export const clientRequests = {
  hello: { request: z.strictObject({ nonce: random128 }), response: z.strictObject({ nonce: random128, fresh: random128, record: siteRecord }), fresh: false },
  /** Announces an operation; its parts tell the progress, its answer is the sealed result, or the record that is in force. */
  use: {
    request: z.strictObject({ use }),
    part: usePart,
    response: z.union([
      z.strictObject({ enclave: enclaveKeys, digest: hash, result: sealedUpTo(mostPayload), sig: base64url(64) }),
      z.strictObject({ digest: hash, record: keyRecord }),
    ]),
  },
  payload: { request: z.strictObject({ request: random128, payload: sealedUpTo(mostPayload + 32) }), response: nothing },
  cancel: { request: z.strictObject({ request: random128 }), response: nothing },
  status: {
    /** Keys from the one after this name on. */
    request: z.strictObject({ after: label.optional() }),
    response: z.strictObject({
      site: id, coordinator: id, siteRecord: siteRecordRef, sealed: z.boolean(), boxes: z.array(boxStatus), keys: z.array(keyStatus), operations: z.int(),
      /** Too few boxes are there at once: nobody is declared lost, nothing irreversible is begun. */
      hold: z.literal("our-network").nullable(),
      recovery: recoveryStatus.nullable(),
      /** There only where the keys, in the order of their names, are more than one message: the next begin after this one. */
      next: label.optional(),
    }),
  },
  "key-show": { request: z.strictObject({ key: label }), response: z.union([certifiedRecord, reshardedRecord]) },
  /** A refresh now, by an administrator's order; the holders stay as they are or one is changed for a spare. */
  "key-reshard": { request: z.strictObject({ key: label }), response: z.strictObject({ record: keyRecord }) },
  "box-approve": {
    request: z.strictObject({ request: z.json() }),
    response: z.strictObject({ answer: boxAnswer }),
  },
  "client-approve": {
    request: z.strictObject({ id, key: publicKey, tlsKey: z.string().max(1000), person: id.optional(), admin: z.boolean() }),
    response: z.strictObject({ certificate: z.string(), ca: z.string() }),
  },
  "site-apply": { request: z.strictObject({ policy: sitePolicy }), response: z.strictObject({ record: siteRecord }) },
  "site-seal": { request: nothing, response: z.strictObject({ record: siteRecord }) },
  "person-enrol": {
    request: z.strictObject({ person: id, finger: label, box: id, roles: z.array(label).max(16).optional() }),
    part: boxRequests.enrol.part,
    response: z.strictObject({ record: siteRecord, sensor: z.enum(["device", "emulated"]) }),
  },
  /** Announces that a box may be silent for `forMs` ms; asked again, the time begins anew. */
  "box-pause": { request: z.strictObject({ box: id, forMs: z.int().min(1000) }), response: z.strictObject({ state: liveness }) },
  "box-identify": { request: z.strictObject({ box: id, forMs: identifyMs }), response: identified },
  "box-resume": { request: z.strictObject({ box: id }), response: z.strictObject({ state: liveness }) },
  /** A code by which one box may ask to join over the network, sealed to `recipient`; a new one ends the one before. */
  "box-invite": {
    request: z.strictObject({ box: id, forMs: z.int().min(60_000).max(86_400_000), recipient: publicKey }),
    response: z.strictObject({ code: sealedUpTo(64) }),
  },
  /** What the box with the code has asked; null before. */
  "box-invited": { request: z.strictObject({ box: id }), response: z.strictObject({ request: boxRequest.nullable() }) },
  "box-uninvite": { request: z.strictObject({ box: id }), response: nothing },
  /** Takes a box out of service: quarantined by order it is cut out of every key, and destroys its shards as they become old. */
  "box-retire": { request: z.strictObject({ box: id }), response: z.strictObject({ record: siteRecord }) },
  "client-remove": { request: z.strictObject({ client: id }), response: z.strictObject({ record: siteRecord }) },
  /** The sealed record's next version: `use` commits to the hash of `body`, and people approve it under rule `record`. */
  "record-change": { request: z.strictObject({ use, body: siteRecordBody }), part: usePart, response: z.strictObject({ record: siteRecord }) },
  /** The versions after `after`, oldest first, as many as fit one message; each can be checked by the one before it. */
  "record-chain": { request: z.strictObject({ after: z.int().min(0) }), response: z.strictObject({ chain: z.array(siteRecord).max(32) }) },
  /** Of a sealed site: the finger is in the sensor, and is nobody's until a version of the record takes it in. */
  "finger-enrol": {
    request: z.strictObject({ person: id, finger: label, box: id }),
    part: boxRequests.enrol.part,
    response: boxRequests.enrol.response,
  },
  /** Takes a finger that no version took in out of the sensor again. */
  "finger-forget": { request: z.strictObject({ person: id, finger: label, box: id }), response: nothing },
  /** Names the recovery key, or with null none, while the record is unsealed. */
  "recovery-key": { request: z.strictObject({ recovery: recovery.nullable() }), response: z.strictObject({ record: siteRecord }) },
  /** A version under the recovery key. The answer carries no record: it is in force only when its delay is over. */
  "site-recover": { request: z.strictObject({ body: siteRecordBody, recovery: signature }), response: recoveryStatus },
  "person-remove": { request: z.strictObject({ person: id }), response: z.strictObject({ record: siteRecord }) },
} as const satisfies RequestTable;

export { keyRecord };

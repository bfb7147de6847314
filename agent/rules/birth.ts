import { bytesOf } from "../runtime/encoding.ts";
import { degreeBelow } from "../sharding/degree.ts";
import { keyRecordHash, transcriptHash, type Check, type Deal, type Join, type KeyRecord, type Plan, type Prepared, type SealedStatement } from "../protocol/key-record.ts";
import type { RequestFields } from "../protocol/request.ts";
import type { SiteRecord } from "../protocol/site-record.ts";
import { statementHash, verifyStatement, type Signed } from "../protocol/statement.ts";
import { Refusal } from "./refusal.ts";
import { forbiddenZone } from "./zones.ts";

/** A key of 3-of-5 keeps at least four holders; it can lose one more before nobody could help it. */
const defaultMargin = 1;

const refuse = (why: string): Refusal => new Refusal("PLAN_REFUSED", why);
const refuseDeal = (why: string): Refusal => new Refusal("DEAL_REFUSED", why);

/** A statement of a box, checked under its key in the site record. */
export function isByBox(signed: Signed<unknown>, record: SiteRecord): boolean {
  const box = record.body.boxes.find((known) => known.id === signed.by);
  return box !== undefined && verifyStatement(signed, record.site, box.key);
}

/** PLAN of a birth: signed by the coordinator, every x and holder once, more holders than the threshold needs. */
export function judgePlan(plan: Plan, record: SiteRecord): void {
  const { body } = plan;
  if (plan.by !== record.body.coordinator.id || !verifyStatement(plan, record.site, record.body.coordinator.key)) throw refuse("the plan is not signed by the coordinator");
  if (body.epoch !== 1 || body.previous !== null) throw refuse("a birth is epoch 1 and follows nothing");
  if (body.threshold > body.holders.length) throw refuse(`${body.threshold} of ${body.holders.length} cannot be met`);
  const boxes = new Set(body.holders.map((holder) => holder.box));
  const xs = new Set(body.holders.map((holder) => holder.x));
  if (boxes.size !== body.holders.length || xs.size !== body.holders.length) throw refuse("a holder or an x stands twice in the plan");
  for (const box of boxes) if (!record.body.boxes.some((known) => known.id === box)) throw refuse(`${box} is no box of this site`);
  const zone = forbiddenZone(record.body, [...boxes], body.threshold);
  if (zone !== undefined) throw refuse(`zone ${zone} would hold ${body.threshold} shards, which are the key`);
}

/** The plan is what the people approved: the same key, threshold and holders as in the signed request. */
export function judgePlanOfRequest(plan: Plan, fields: RequestFields): void {
  const { create } = fields.use.body;
  const { body } = plan;
  if (create === undefined) throw refuse("the request makes no key");
  const same = fields.record === statementHash(plan) && fields.epoch === body.epoch && fields.attempt === body.attempt
    && body.request === fields.use.body.request && body.key === fields.use.body.key
    && body.threshold === create.threshold && body.holders.length === create.holders.length
    && body.holders.every(({ box }, i) => box === create.holders[i]);
  if (!same) throw refuse("the plan is not the one that the request names");
}

/**
 * DEAL and its transcript: one JOIN of every holder, one piece and digest for every holder and x, signed
 * by the enclave key inside the digest. Returns T.
 */
export function judgeDeal(plan: Plan, joins: readonly Join[], deal: Deal, enclaveSign: string, record: SiteRecord): string {
  const planHash = statementHash(plan);
  const { holders } = plan.body;
  const inOrder = (boxes: readonly string[]): boolean => boxes.length === holders.length && holders.every(({ box }, i) => boxes[i] === box);
  if (!inOrder(joins.map((join) => join.by))) throw refuseDeal("not exactly one JOIN of every holder");
  for (const join of joins) if (join.body.plan !== planHash || !isByBox(join, record)) throw refuseDeal(`the JOIN of ${join.by} is not its own or for another plan`);
  if (deal.by !== "enclave" || deal.body.plan !== planHash || !verifyStatement(deal, record.site, enclaveSign)) throw refuseDeal("the deal is not signed by the enclave of this request");
  if (!inOrder(deal.body.pieces.map((piece) => piece.box)) || !inOrder(deal.body.digests.map((digest) => digest.box))) throw refuseDeal("not exactly one piece and digest for every holder");
  if (!deal.body.digests.every(({ x }, i) => x === holders[i]?.x)) throw refuseDeal("an x is not the plan's");
  return transcriptHash(record.site, planHash, joins.map(statementHash), [statementHash(deal)]);
}

/** The record of the epoch that this plan and deal make: everybody computes it, nobody is told it. */
export function recordOfBirth(plan: Plan, deal: Deal): KeyRecord {
  const { key, kind, epoch, attempt, threshold, previous } = plan.body;
  return {
    site: plan.site, key, kind, version: 1, epoch, attempt, threshold, size: deal.body.digests.length, margin: defaultMargin, holders: deal.body.digests,
    check: deal.body.check, plan: statementHash(plan), previous, imported: deal.body.imported,
  };
}

/** All holders signed SEALED over our own T: the dealer gave everybody the same transcript. */
export function judgeSealed(sealed: readonly SealedStatement[], transcript: string, plan: Plan, record: SiteRecord): void {
  requireAll(sealed, plan, record, (one) => one.body.transcript === transcript, "SEALED");
}

/** All CHECK values lie on one polynomial of degree below the threshold: the deal is a sharing (protocol.md §7). */
export async function judgeChecks(checks: readonly Check[], transcript: string, plan: Plan, record: SiteRecord): Promise<void> {
  requireAll(checks, plan, record, (one) => one.body.transcript === transcript, "CHECK");
  const points = checks.map((one, i) => ({ x: plan.body.holders[i]?.x ?? 0, y: bytesOf(one.body.value) }));
  if (!await degreeBelow(points, plan.body.threshold)) throw refuseDeal("the shares do not lie on one polynomial: the deal is bad");
}

function requireAll<S extends Signed<unknown>>(statements: readonly S[], plan: Plan, record: SiteRecord, fits: (one: S) => boolean, name: string): void {
  const { holders } = plan.body;
  const complete = statements.length === holders.length && holders.every(({ box }, i) => statements[i]?.by === box);
  if (!complete || !statements.every((one) => fits(one) && isByBox(one, record))) throw refuseDeal(`not exactly one ${name} of every holder on this transcript`);
}

/** Certificate P: PREPARED of every holder over exactly this record (protocol.md §7; at a birth all n). */
export function isCertified(keyRecord: KeyRecord, prepared: readonly Prepared[], record: SiteRecord): boolean {
  const hash = keyRecordHash(keyRecord);
  const { key, epoch, attempt, holders } = keyRecord;
  const signers = new Set(prepared.map((one) => one.by));
  return signers.size === holders.length && prepared.length === holders.length && prepared.every((one) => holders.some(({ box }) => box === one.by)
    && one.body.record === hash && one.body.key === key && one.body.epoch === epoch && one.body.attempt === attempt && isByBox(one, record));
}

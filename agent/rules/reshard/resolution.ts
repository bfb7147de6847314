import type { Evidence } from "../../protocol/evidence.ts";
import type { ApprovalFields } from "../../protocol/request.ts";
import { participantsOf, type BatchResolved, type Resolution, type ReshardPlan } from "../../protocol/reshard.ts";
import type { SiteRecord } from "../../protocol/site-record.ts";
import { statementHash } from "../../protocol/statement.ts";
import { isByBox } from "../birth.ts";
import { judgeAsked, requireAttested, type EvidenceJudge, type Judged } from "../judge.ts";
import { ruleFor } from "../policy.ts";
import { Refusal } from "../refusal.ts";

/** Everybody who takes part and is not named gone: each must answer. */
export function askedOf(plan: ReshardPlan, gone: readonly string[]): string[] {
  return participantsOf(plan).filter((box) => !gone.includes(box));
}

/** The old holders among them. */
export function oldAsked({ body }: ReshardPlan, gone: readonly string[]): string[] {
  return body.witnesses.map(({ box }) => box).filter((box) => !gone.includes(box));
}

/** With exactly t old holders one that lies would be believed: then nobody answers (docs/resharding.md, RESOLVE). */
export function isWorthAsking(plan: ReshardPlan, gone: readonly string[]): boolean {
  return oldAsked(plan, gone).length > plan.body.threshold;
}

/** The list as answers name it: sorted, so that one list has one form. */
export function goneOf({ use }: ApprovalFields): string[] {
  return [...use.body.recover?.gone ?? []].sort();
}

export function isSameGone(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((box, i) => box === other[i]);
}

/** Who of those asked has given this answer, to exactly this list. */
function answering(plan: ReshardPlan, { gone, answers }: Resolution, holds: BatchResolved["body"]["holds"], record: SiteRecord): Set<string> {
  const planHash = statementHash(plan);
  const asked = new Set(askedOf(plan, gone));
  return new Set(answers.filter((one) => asked.has(one.by) && one.body.plan === planHash && one.body.holds === holds
    && isSameGone(one.body.gone, gone) && isByBox(one, record)).map(({ by }) => by));
}

/** Counts as the BURN certificate: all who are not gone hold *old*, and have promised to go back by this only. */
export function isAllOld(plan: ReshardPlan, resolution: Resolution, record: SiteRecord): boolean {
  const { gone } = resolution;
  return isWorthAsking(plan, gone) && answering(plan, resolution, "old", record).size === askedOf(plan, gone).length;
}

/** With D this moves those who have answered `old`: two have settled, so that one that lies does not do it. */
export function isTwoSettled(plan: ReshardPlan, resolution: Resolution, record: SiteRecord): boolean {
  return answering(plan, resolution, "settled", record).size >= 2;
}

/**
 * People said who is gone in exactly this attempt, and may say so of each of its keys (protocol.md §7, RESOLVE). No nonce
 * and no deadline is looked at: a box that was away must still answer, and the digest binds plan and list, which are
 * answered once, for ever. Throws {@link Refusal}.
 */
export function judgeRecovery(plan: ReshardPlan, fields: ApprovalFields, evidence: readonly Evidence[], judge: EvidenceJudge): Judged {
  const refuse = (why: string): Refusal => new Refusal("PLAN_REFUSED", why);
  const judged = judgeAsked(fields, judge.siteRecord);
  const { operation, key, resource } = fields.use.body;
  const planned = plan.body.keys.find((one) => one.key === key);
  if (operation !== "recover" || resource !== key) throw refuse("the people have not said who is gone");
  if (fields.record !== statementHash(plan) || planned?.epoch !== fields.epoch || planned.attempt !== fields.attempt) throw refuse("the people were asked about another attempt");
  const gone = goneOf(fields);
  const participants = participantsOf(plan);
  const stranger = gone.find((box) => !participants.includes(box));
  if (stranger !== undefined) throw refuse(`${stranger} takes no part in this attempt`);
  if (!isWorthAsking(plan, gone)) throw refuse(`${oldAsked(plan, gone).length} old holders would be asked, and it takes ${plan.body.threshold + 1}`);
  for (const other of plan.body.keys) {
    const rule = ruleFor(judge.siteRecord.body, other.key, "recover", other.key);
    if (rule === undefined) throw new Refusal("NOT_PERMITTED", `no rule lets anybody recover ${other.key}, which is in the same attempt`);
    requireAttested({ ...judged, rule }, evidence, judge);
  }
  return judged;
}

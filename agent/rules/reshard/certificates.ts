import { participantsOf, type BatchActivated, type BatchBurn, type BatchPrepared, type Burial, type ReshardPlan, type Settlement } from "../../protocol/reshard.ts";
import type { SiteRecord } from "../../protocol/site-record.ts";
import { statementHash, verifyStatement, type Signed } from "../../protocol/statement.ts";
import { isByBox } from "../birth.ts";
import { isAllOld } from "./resolution.ts";

/**
 * The certificates of an attempt (protocol.md §7). With n' new holders D takes max(3, n'-1) ACTIVATED and
 * BURN n'-D+2: any two of them share two boxes, and no honest box signs both, so one liar cannot make both.
 */
export function activationsNeeded(holders: number): number {
  return Math.max(3, holders - 1);
}

export function burnsNeeded(holders: number): number {
  return holders - activationsNeeded(holders) + 2;
}

/** How many different new holders signed what `fits`; a box that signs twice is one. */
function signers<S extends Signed<unknown>>(plan: ReshardPlan, statements: readonly S[], fits: (one: S) => boolean, record: SiteRecord): number {
  const holders = new Set(plan.body.holders.map(({ box }) => box));
  return new Set(statements.filter((one) => holders.has(one.by) && fits(one) && isByBox(one, record)).map(({ by }) => by)).size;
}

/** Whether the coordinator of this site made the plan. */
export function isPlanned(plan: ReshardPlan, record: SiteRecord): boolean {
  const { coordinator } = record.body;
  return plan.by === coordinator.id && verifyStatement(plan, record.site, coordinator.key);
}

/** Certificate P: all n' have prepared exactly these records. */
export function isPreparedByAll(plan: ReshardPlan, batch: string, prepared: readonly BatchPrepared[], record: SiteRecord): boolean {
  const planHash = statementHash(plan);
  return signers(plan, prepared, ({ body }) => body.plan === planHash && body.batch === batch, record) === plan.body.holders.length;
}

/** Certificate D. Nothing of the old epoch is destroyed without it. */
export function isSettled({ plan, batch, activated }: Settlement, record: SiteRecord): boolean {
  const planHash = statementHash(plan);
  const count = signers<BatchActivated>(plan, activated, ({ body }) => body.plan === planHash && body.batch === batch, record);
  return isPlanned(plan, record) && count >= activationsNeeded(plan.body.holders.length);
}

/** The BURN certificate, or what counts as it. *next* is dropped only with it. */
export function isBuried(burial: Burial, record: SiteRecord): boolean {
  const { plan } = burial;
  if ("resolution" in burial) return isPlanned(plan, record) && isAllOld(plan, burial.resolution, record);
  const planHash = statementHash(plan);
  const count = signers<BatchBurn>(plan, burial.burns, ({ body }) => body.plan === planHash, record);
  return isPlanned(plan, record) && count >= burnsNeeded(plan.body.holders.length);
}

/** A box that signed BURN and ACTIVATED of one plan: proof of a lie, for anybody to check. */
export function doubleSigners(plan: ReshardPlan, activated: readonly BatchActivated[], burns: readonly BatchBurn[], record: SiteRecord): string[] {
  const planHash = statementHash(plan);
  const signed = (statements: readonly Signed<{ readonly plan: string }>[]): Set<string> =>
    new Set(statements.filter((one) => one.body.plan === planHash && isByBox(one, record)).map(({ by }) => by));
  const burnt = signed(burns);
  return participantsOf(plan).filter((box) => burnt.has(box) && signed(activated).has(box));
}

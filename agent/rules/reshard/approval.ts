import type { KeyRecord } from "../../protocol/key-record.ts";
import type { ApprovalFields, ReshardParameters } from "../../protocol/request.ts";
import type { ReshardPlan } from "../../protocol/reshard.ts";
import { statementHash } from "../../protocol/statement.ts";
import { Refusal } from "../refusal.ts";
import { changes } from "./plan.ts";

export type Numbers = Pick<KeyRecord, "threshold" | "size" | "margin">;

/** The numbers of the next epoch: what was asked for, else as they are `now`. */
export function wantedNumbers({ threshold, size, margin, holders }: ReshardParameters, now: Numbers): Numbers {
  return { threshold: threshold ?? now.threshold, size: size ?? holders?.length ?? now.size, margin: margin ?? now.margin };
}

const refuse = (why: string): Refusal => new Refusal("PLAN_REFUSED", why);

/**
 * The plan is exactly the one that people approved (protocol.md §7, Limits): they saw the signed parameters, and the
 * digest they approved names the plan by its hash. `current` is the record that the judging box serves; a new holder
 * has none and judges what the request names. Throws PLAN_REFUSED.
 */
export function judgeApproval(plan: ReshardPlan, fields: ApprovalFields, current: KeyRecord | undefined): void {
  const { body } = plan;
  const { operation, reshard, request, key } = fields.use.body;
  const [planned] = body.keys;
  if (operation !== "reshard" || reshard === undefined) throw refuse("the people approved no re-shard");
  const same = fields.record === statementHash(plan) && body.request === request && body.reason === "order"
    && body.keys.length === 1 && planned?.key === key && planned.epoch === fields.epoch && planned.attempt === fields.attempt;
  if (!same) throw refuse("the people approved another plan");
  const next: Numbers = { threshold: body.nextThreshold, size: body.size, margin: body.margin };
  const wanted = wantedNumbers(reshard, current ?? next);
  if (wanted.threshold !== next.threshold || wanted.size !== next.size || wanted.margin !== next.margin) {
    throw refuse(`the plan is not for threshold ${wanted.threshold}, size ${wanted.size} and margin ${wanted.margin}, which the people approved`);
  }
  if (reshard.holders !== undefined) {
    const { leave, come } = changes(reshard.holders.map((box) => ({ box })), body.holders);
    if (leave + come > 0) throw refuse(`the people approved the holders ${reshard.holders.join(", ")}`);
  } else if (current !== undefined) {
    // Nobody was named: the coordinator exchanges nobody, and takes away just so many as are too many.
    const { leave } = changes(current.holders, body.holders);
    if (leave !== Math.max(0, current.holders.length - wanted.size)) throw refuse(`${leave} holders of ${key} leave, whom the people have not named`);
  }
}

import type { Approval } from "../protocol/approval.ts";
import type { BatchResolved, ReshardPlan } from "../protocol/reshard.ts";
import { goneOf, isSameGone } from "../rules/reshard/resolution.ts";
import { Refusal } from "../rules/refusal.ts";
import type { Approvals } from "./approval.ts";
import type { KeptAttempt } from "./attempts.ts";
import { hasOld } from "./moves.ts";
import type { BoxParts } from "./parts.ts";
import type { Shelf } from "./shelf.ts";

type Answer = NonNullable<KeptAttempt["answer"]>;

/** What `box` has answered, or `holds` from now on; another list it never answers, nor is it moved by the answers to one. Throws ATTEMPT_ANSWERED. */
export function answered(box: string, { answer }: KeptAttempt, gone: readonly string[], holds: BatchResolved["body"]["holds"]): Answer {
  if (answer !== undefined && !isSameGone(answer.gone, gone)) {
    throw new Refusal("ATTEMPT_ANSWERED", `${box} has answered in this attempt, to people who named ${answer.gone.join(" ")} gone`);
  }
  return answer ?? { gone: [...gone], holds };
}

/** Judges whether people may have this answer, and that it is true; counts it. Once it is given it is repeated to anybody. Throws {@link Refusal}. */
export async function answerTo({ box }: BoxParts, shelf: Shelf, approvals: Approvals, attempt: KeptAttempt, approval: Approval, holds: Answer["holds"]): Promise<Answer> {
  const { plan } = attempt;
  const answer = answered(box, attempt, goneOf(approval.fields), holds);
  if (attempt.answer !== undefined) return answer;
  const judged = approvals.judgeRecovery(plan, approval);
  if (holds === "old" && isWitness(plan, box) && !hasOld(shelf, plan)) throw new Refusal("NOT_A_HOLDER", `${box} has lost the shards that it would say it holds`);
  await approvals.count(judged, approval);
  return answer;
}

function isWitness({ body }: ReshardPlan, box: string): boolean {
  return body.witnesses.some((one) => one.box === box);
}

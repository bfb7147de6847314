import type { Approval } from "../protocol/approval.ts";
import type { KeyRecord } from "../protocol/key-record.ts";
import type { ReshardPlan } from "../protocol/reshard.ts";
import { judgeUse, type Judged } from "../rules/judge.ts";
import { Refusal } from "../rules/refusal.ts";
import { judgeApproval } from "../rules/reshard/approval.ts";
import { askedOf, goneOf, judgeRecovery } from "../rules/reshard/resolution.ts";
import { Limits } from "./limits.ts";
import type { BoxParts } from "./parts.ts";
import type { Requests } from "./requests.ts";

/**
 * People's approval of a plan, as a box judges it in JOIN, and of who is gone in RESOLVE. No holder is challenged for
 * it: nobody deals without the JOIN of everybody, so each has judged the evidence before any share moves, and an HSM
 * that is not what it should be shows in DEAL and CHECK.
 */
export class Approvals {
  readonly #parts: BoxParts;
  readonly #requests: Requests;
  readonly #limits: Limits;

  constructor(parts: BoxParts, requests: Requests) {
    this.#parts = parts;
    this.#requests = requests;
    this.#limits = new Limits(parts);
  }

  /** Null where the coordinator plans by itself, and then the plan names no request. Throws {@link Refusal}. */
  judge(plan: ReshardPlan, approval: Approval | null, current: (key: string) => KeyRecord | undefined, coordinatorBoot: string): Judged | null {
    if (approval === null) {
      if (plan.body.request !== null) throw new Refusal("PLAN_REFUSED", "the plan names a request and brings no approval of it");
      return null;
    }
    const { records, nonces, box } = this.#parts;
    const { fields, evidence } = approval;
    const judged = judgeUse(fields, evidence, records.judge(box, (own) => nonces.honours(own), coordinatorBoot));
    judgeApproval(plan, fields, current(fields.use.body.key));
    this.#requests.see(judged.digest, fields.deadlineMs);
    if (this.#requests.leftMs(judged.digest) <= 0) throw new Refusal("STALE_REQUEST", "the request's time is over");
    return judged;
  }

  /** Who is gone in this attempt; this box is not. Throws {@link Refusal}. */
  judgeRecovery(plan: ReshardPlan, { fields, evidence }: Approval): Judged {
    const { records, box } = this.#parts;
    if (!askedOf(plan, goneOf(fields)).includes(box)) throw new Refusal("NOT_A_HOLDER", `${box} is not asked in this attempt`);
    return judgeRecovery(plan, fields, evidence, { siteRecord: records.current, isQuarantined: (other) => records.isQuarantined(other) });
  }

  /** Once all else is judged: a plan is joined once, and answered once, so it counts once towards its rule's limit. Throws RATE_LIMITED. */
  async count({ rule }: Judged, { fields }: Approval): Promise<void> {
    const { key, operation } = fields.use.body;
    if (rule.limit !== undefined) await this.#limits.count(key, operation, rule.limit);
  }
}

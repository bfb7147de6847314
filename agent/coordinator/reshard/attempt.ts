import type { Approval } from "../../protocol/approval.ts";
import type { Join, KeyRecord, SealedStatement } from "../../protocol/key-record.ts";
import { boxRequests } from "../../protocol/messages.ts";
import type { Sealed } from "../../protocol/primitives.ts";
import { batchHash, participantsOf, type BatchPrepared, type ReshardCheck, type ReshardDeal, type ReshardPlan } from "../../protocol/reshard.ts";
import { statementHash } from "../../protocol/statement.ts";
import { isPreparedByAll } from "../../rules/reshard/certificates.ts";
import { hashesOf, judgeDeals, judgeReshardChecks, recordsOf } from "../../rules/reshard/deal.ts";
import { isNamed } from "../../runtime/errors.ts";
import type { Verdict } from "../../sharding/reshare.ts";
import type { CoordinatorParts } from "../parts.ts";

/** What certificate P says, and who failed where none came to be. */
export type Outcome =
  | { readonly kind: "prepared"; readonly batch: string; readonly records: readonly KeyRecord[]; readonly prepared: readonly BatchPrepared[] }
  /** Boxes that did not answer in time: the next attempt does without them. */
  | { readonly kind: "silent"; readonly step: string; readonly boxes: readonly string[] }
  | { readonly kind: "refused"; readonly step: string; readonly box: string; readonly code: string }
  | ({ readonly kind: "bad-deal" } & BadDeal);

/** Everything that was published in an attempt whose deals are no sharing of the same key. */
export interface BadDeal {
  readonly verdict: Exclude<Verdict, { kind: "accepted" }>;
  readonly transcript: string;
  readonly joins: readonly Join[];
  readonly dealt: readonly Dealt[];
  readonly checks: readonly ReshardCheck[];
}
export interface Dealt { readonly deal: ReshardDeal; readonly pieces: readonly Sealed[] }

class StepFailed extends Error {
  readonly outcome: Outcome;
  constructor(outcome: Outcome) {
    super(outcome.kind);
    this.outcome = outcome;
  }
}

/**
 * Drives one attempt from PLAN to PREPARED (protocol.md §7). Everything of it is in memory: whatever fails, and
 * after a restart, the attempt is burnt and another begins.
 */
export class AttemptRun {
  readonly #parts: CoordinatorParts;
  readonly #plan: ReshardPlan;
  readonly #planHash: string;
  readonly #approval: Approval | null;
  readonly #stepMs: number;

  constructor(parts: CoordinatorParts, plan: ReshardPlan, approval: Approval | null) {
    this.#parts = parts;
    this.#plan = plan;
    this.#planHash = statementHash(plan);
    this.#approval = approval;
    this.#stepMs = parts.config.reshardStepMs;
  }

  async run(): Promise<Outcome> {
    try {
      return await this.#run();
    } catch (error) {
      if (error instanceof StepFailed) return error.outcome;
      if (isNamed(error)) return { kind: "refused", step: "judge", box: this.#parts.config.coordinator, code: error.code };
      throw error;
    }
  }

  async #run(): Promise<Outcome> {
    const { site } = this.#parts;
    const plan = this.#planHash;
    const everybody = participantsOf(this.#plan);
    const options = { deadlineMs: this.#stepMs };
    const { exchange } = this.#parts;
    const joins = await this.#ask("join", everybody, async (box): Promise<Join> => (await exchange.request(boxRequests, "reshard-join", box, { plan: this.#plan, approval: this.#approval }, options)).join);
    const dealt = await this.#ask("deal", this.#plan.body.dealers.map(({ box }) => box), (box): Promise<Dealt> => exchange.request(boxRequests, "reshard-deal", box, { plan, joins }, options));
    const deals = dealt.map(({ deal }) => deal);
    const transcript = judgeDeals(this.#plan, joins, deals, site.current);
    const sealed = await this.#ask("seal", everybody, async (box): Promise<SealedStatement> =>
      (await exchange.request(boxRequests, "reshard-seal", box, { plan, joins, deals, pieces: this.#piecesFor(box, dealt) }, options)).sealed);
    const checks = await this.#ask("check", everybody, async (box): Promise<ReshardCheck> => (await exchange.request(boxRequests, "reshard-check", box, { plan, sealed }, options)).check);
    const verdict = await judgeReshardChecks(this.#plan, transcript, checks, site.current);
    if (verdict.kind !== "accepted") return { kind: "bad-deal", verdict, transcript, joins, dealt, checks };
    const holders = this.#plan.body.holders.map(({ box }) => box);
    const prepared = await this.#ask("prepare", holders, async (box): Promise<BatchPrepared> => (await exchange.request(boxRequests, "reshard-prepare", box, { plan, checks }, options)).prepared);
    const records = recordsOf(this.#plan, checks);
    const batch = batchHash(this.#plan.site, plan, hashesOf(records));
    if (!isPreparedByAll(this.#plan, batch, prepared, site.current)) return { kind: "refused", step: "prepare", box: this.#parts.config.coordinator, code: "CERTIFICATE_INVALID" };
    return { kind: "prepared", batch, records, prepared };
  }

  /** What each dealer sealed to `box`, in the plan's order of dealers. */
  #piecesFor(box: string, dealt: readonly Dealt[]): { holder: Sealed | null; witness: Sealed | null }[] {
    return dealt.map(({ deal, pieces }) => {
      const of = (role: "holder" | "witness"): Sealed | null => pieces[deal.body.pieces.findIndex((one) => one.box === box && one.role === role)] ?? null;
      return { holder: of("holder"), witness: of("witness") };
    });
  }

  /** Asks all at once; all must answer. Those who did not, or the first refusal, are the step's outcome. */
  async #ask<T>(step: string, boxes: readonly string[], ask: (box: string) => Promise<T>): Promise<T[]> {
    const answers = await Promise.allSettled(boxes.map(ask));
    const silent: string[] = [];
    let refusal: Outcome | undefined;
    answers.forEach((answer, i) => {
      const box = boxes[i];
      if (answer.status === "fulfilled" || box === undefined) return;
      const error: unknown = answer.reason;
      if (!isNamed(error)) throw error;
      this.#parts.log.warn("re-shard step failed", { step, box, error: String(error) });
      if (error.code === "NO_ANSWER" || error.code === "NOT_CONNECTED") silent.push(box);
      else refusal ??= { kind: "refused", step, box, code: error.code };
    });
    if (refusal !== undefined) throw new StepFailed(refusal);
    if (silent.length > 0) throw new StepFailed({ kind: "silent", step, boxes: silent });
    return answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
  }
}

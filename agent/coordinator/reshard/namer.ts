import { boxRequests } from "../../protocol/messages.ts";
import { statementHash } from "../../protocol/statement.ts";
import { liarOf } from "../../rules/reshard/naming.ts";
import { hasCode } from "../../runtime/errors.ts";
import type { Fleet } from "../fleet.ts";
import type { CoordinatorParts } from "../parts.ts";
import type { ReshardPlan } from "../../protocol/reshard.ts";
import type { BadDeal } from "./attempt.ts";

/** Off-degree deals accuse a dealer and a holder: asks the dealer to open one seal, and puts out who lied. */
export class Namer {
  readonly #parts: CoordinatorParts;
  readonly #fleet: Fleet;

  constructor(parts: CoordinatorParts, fleet: Fleet) {
    this.#parts = parts;
    this.#fleet = fleet;
  }

  /** After the BURN certificate. True if somebody was named and is out. */
  async name(plan: ReshardPlan, bad: BadDeal): Promise<boolean> {
    if (bad.verdict.kind !== "dealers-off-degree") return false;
    let named = false;
    for (const x of new Set(bad.verdict.pairs.map(({ dealer }) => dealer))) {
      const dealer = plan.body.dealers.find((one) => one.x === x)?.box;
      const liar = dealer === undefined ? undefined : await this.#liar(plan, bad, dealer);
      if (liar === undefined) continue;
      this.#parts.log.error("re-shard liar named", { box: liar, dealer });
      named = await this.#fleet.quarantine(liar, "BAD_DEAL") || named;
    }
    return named;
  }

  /**
   * Its own comparison decides which seal a dealer opens (rules/reshard/naming.ts). One that finds every CHECK to be
   * what it dealt has signed, by that, that its deal is off-degree; one that is silent is only suspect.
   */
  async #liar(plan: ReshardPlan, { transcript, joins, dealt, checks }: BadDeal, dealer: string): Promise<string | undefined> {
    const { exchange, config, log } = this.#parts;
    const of = dealt.find(({ deal }) => deal.by === dealer);
    if (of === undefined) return undefined;
    for (const [i, { box }] of plan.body.holders.entries()) {
      const [check, join, piece] = [checks.find(({ by }) => by === box), joins.find(({ by }) => by === box), of.pieces[i]];
      if (check === undefined || join === undefined || piece === undefined) return undefined;
      try {
        const { ephemeral } = await exchange.request(boxRequests, "reshard-reveal", dealer, { plan: statementHash(plan), check }, { deadlineMs: config.reshardStepMs });
        return liarOf({ plan, transcript, deal: of.deal, piece, join, check, ephemeral }) === "dealer" ? dealer : box;
      } catch (error) {
        if (hasCode(error, "CHECK_MATCHES")) continue;
        log.warn("seal not opened", { dealer, holder: box, error: String(error) });
        return undefined;
      }
    }
    return dealer;
  }
}

import type { AttemptEvent, ShelfMove, Stage } from "../../agent/rules/reshard/attempt.ts";
import { judgeReshardPlan } from "../../agent/rules/reshard/plan.ts";
import { Refusal } from "../../agent/rules/refusal.ts";
import { boxName, type Paper } from "./plans.ts";
import { realRules, type Rules } from "./rules.ts";
import type { Setting } from "./settings.ts";

/** What a box has signed about a plan, four bits each: the sums over up to 15 boxes are how many have. */
export const signs = { prepared: 0x1, activated: 0x10, burn: 0x100 } as const;
export const everySign = 0x111;
const none = -1;

/** `unknown`: the box has never heard of the attempt, or has forgotten it. */
export type Standing = Stage | "unknown";

/**
 * What one honest box durably has and has said, and what it has in memory. A retired shard is gone here from
 * the moment at which it may be destroyed: of all later moments that is the worst.
 */
export interface Box {
  readonly role: number;
  /** By plan. */
  readonly stages: readonly Standing[];
  /** By plan: whether JOIN's receiving key and the dealt pieces are in memory. */
  readonly live: readonly boolean[];
  /** Which record lies in each place of the shelf, or -1. */
  readonly next: number;
  readonly current: number;
  readonly old: number;
  /** The last attempt that it knows of. */
  readonly last: number;
  /** By plan: sum of {@link signs}. */
  readonly signed: readonly number[];
}

/** What people say, and what is answered to them, is in `resolve.ts`. */
export type BoxEvent = Exclude<AttemptEvent, "resolve" | "back" | "forward"> | "join";
type Places = Pick<Box, "next" | "current" | "old">;

/** Boxes that the plans treat alike are interchangeable; `box` is one of them. */
export interface Role {
  readonly box: number;
  /** By plan. */
  readonly holds: readonly boolean[];
  readonly isFrail: boolean;
}

/** `Reshards.#moves` on one key: the same moves in the same order, and what stood in a place is overwritten. */
function shelve(places: Places, move: ShelfMove, previous: number, made: number): Places {
  const take = (from: Places, record: number): Places => ({
    next: from.next === record ? none : from.next, current: from.current === record ? none : from.current, old: from.old === record ? none : from.old,
  });
  const put = (from: Places, record: number, place: keyof Places): Places =>
    record !== none && [from.next, from.current, from.old].includes(record) ? { ...take(from, record), [place]: record } : from;
  // The box looks for the new share only there.
  const own = [places.next, places.current].includes(made) ? made : none;
  switch (move) {
    case "none": return places;
    case "store-next": return { ...places, next: made };
    case "promote": return put(put(places, previous, "old"), own, "current");
    case "retire": return take(places, previous);
    case "promote-and-retire": return put(take(places, previous), own, "current");
    case "drop-next": return take(places, own);
    case "return-to-old": return put(take(places, own), previous, "current");
  }
}

export class BoxRules {
  readonly #rules: Rules;
  readonly #setting: Setting;
  readonly #paper: Paper;

  constructor(rules: Rules, setting: Setting, paper: Paper) {
    this.#rules = rules;
    this.#setting = setting;
    this.#paper = paper;
  }

  /** Null: refused, nothing changes. `Reshards` in agent/box, without its cryptography. */
  on(box: Box, { box: name, holds }: Role, event: BoxEvent, plan: number): Box | null {
    if (event === "join") return this.#join(box, name, plan);
    const { number, previous } = this.#setting.plans[plan]!;
    const stage = box.stages[plan]!;
    if ((event === "prepare" || event === "burn") && !holds[plan]!) return null;
    if ((event === "prepare" || event === "activate") && stage === "unknown") return null;
    if (event === "burn" && stage === "unknown" && number <= box.last && this.#rules.refusesForgotten) return null;
    const step = this.#rules.attempt[stage === "unknown" ? "joined" : stage][event];
    if (step === undefined || (step.move === "store-next" && !box.live[plan]!)) return null;
    const sign = step.sign === null || step.sign === "resolved" ? 0 : signs[step.sign];
    return {
      ...box, ...shelve(box, step.move, previous, plan + 1),
      stages: box.stages.with(plan, step.to),
      live: box.live.with(plan, box.live[plan]! && step.to === "joined"),
      last: Math.max(box.last, number),
      signed: box.signed.with(plan, box.signed[plan]! | sign),
    };
  }

  restart(box: Box): Box {
    return { ...box, live: box.live.map(() => false), stages: box.stages.map((stage) => stage === "unknown" ? stage : this.#rules.restart(stage)) };
  }

  /** Everything that a box at this stage may sign from now on; `isLate`: it knows of this attempt's number or a higher one. */
  maySign(stage: Standing, isLate: boolean): number {
    const { attempt, isOver, restart, refusesForgotten, judge } = this.#rules;
    const forgotten = refusesForgotten && judge === realRules.judge ? 0 : everySign;
    if (stage === "unknown") return isLate ? forgotten : everySign;
    const seen = new Set<Stage>([stage]);
    let found = 0;
    for (const at of seen) {
      seen.add(restart(at));
      for (const { to, sign } of Object.values(attempt[at])) {
        seen.add(to);
        if (sign !== null && sign !== "resolved") found |= signs[sign];
      }
      if (isOver(at)) found |= forgotten;
    }
    return found;
  }

  #join(box: Box, name: number, plan: number): Box | null {
    const { isOver, judge } = this.#rules;
    const { key, siteRecord, records, plans } = this.#paper;
    if (box.live[plan]! || box.stages[plan] !== "unknown") return null;
    try {
      judgeReshardPlan(plans[plan]!, judge({
        box: boxName(name), siteRecord, isQuarantined: () => false,
        current: () => records[box.current],
        // The old epoch was born in attempt 1.
        lastAttempt: () => box.last + 1,
        isOpen: (asked) => asked === key && box.stages.some((stage) => stage !== "unknown" && !isOver(stage)),
        changedLately: () => false, approved: false,
      }));
    } catch (error) {
      if (error instanceof Refusal) return null;
      throw error;
    }
    // `Attempts.prune`: what is over is forgotten.
    const stages = box.stages.map((stage) => stage !== "unknown" && isOver(stage) ? "unknown" : stage).with(plan, "joined");
    return { ...box, stages, live: box.live.with(plan, true), last: Math.max(box.last, this.#setting.plans[plan]!.number) };
  }
}

import type { ReshardPlan } from "../protocol/reshard.ts";
import { statementHash } from "../protocol/statement.ts";
import type { ShelfMove } from "../rules/reshard/attempt.ts";
import type { Change } from "../store/store.ts";
import type { Shelf, Shelved } from "./shelf.ts";

/** What a transition does to the shards of a plan's keys. *current* to *old* first: in one batch the last change of a place counts. */
export function movesOf(shelf: Shelf, plan: ReshardPlan, move: ShelfMove): Change[] {
  const planHash = statementHash(plan);
  return plan.body.keys.flatMap(({ key, previous }) => {
    const before = shelf.find(key, previous);
    const made = (["next", "current"] as const).map((state) => shelf.get(key, state)).find((one) => one?.record.plan === planHash);
    const to = (one: Shelved | undefined, state: Shelved["state"]): Change[] => (one === undefined || one.state === state ? [] : shelf.move(one, state));
    switch (move) {
      case "none": case "store-next": return [];
      case "promote": return [...to(before, "old"), ...to(made, "current")];
      case "retire": return to(before, "retired");
      case "promote-and-retire": return [...to(before, "retired"), ...to(made, "current")];
      case "drop-next": return to(made, "retired");
      case "return-to-old": return [...to(made, "retired"), ...to(before, "current")];
    }
  });
}

/** Whether this box still has *old* of every key of the plan, as a witness must that says so. */
export function hasOld(shelf: Shelf, plan: ReshardPlan): boolean {
  return plan.body.keys.every(({ key, previous }) => {
    const state = shelf.find(key, previous)?.state;
    return state === "current" || state === "old";
  });
}

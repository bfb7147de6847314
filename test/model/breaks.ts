import type { AttemptEvent, Stage, Transition } from "../../agent/rules/reshard/attempt.ts";
import { realRules, type AttemptTable, type Rules } from "./rules.ts";

const { attempt, drive } = realRules;

/** The real table with one transition changed, or added where the table refuses. */
function row(stage: Stage, event: AttemptEvent, change: Partial<Transition>): AttemptTable {
  const before = attempt[stage][event] ?? { to: stage, move: "none", sign: null };
  return { ...attempt, [stage]: { ...attempt[stage], [event]: { ...before, ...change } } };
}

/** For each rule what the model becomes without it: the real tables and counts with exactly that one changed. */
export const breaks: Readonly<Record<string, Partial<Rules>>> = {
  /** P is taken for D. */
  "destroy-before-certificate": { settlesBy: "P" },
  "destroy-at-activation": { attempt: row("prepared", "activate", { move: "promote-and-retire" }) },
  "burn-after-activate": { attempt: row("activated", "burn", { sign: "burn" }) },
  "activate-after-burn": { attempt: row("withdrawn", "activate", { to: "activated", move: "promote", sign: "activated" }) },
  "one-burn": { burnsNeeded: () => 1 },
  "drop-at-own-burn": { attempt: row("prepared", "burn", { move: "drop-next" }) },
  /** D comes to a box that has only prepared, which forgets the new shard. */
  "settle-without-next": { attempt: row("prepared", "settle", { move: "retire" }) },
  /** BURN is said first and written after. */
  "say-before-durable": { restart: (stage) => stage === "withdrawn" ? "prepared" : stage },
  "epoch-reuse": { judge: (judge) => ({ ...judge, lastAttempt: () => 1 }) },
  "join-while-open": { judge: (judge) => ({ ...judge, isOpen: () => false }) },
  "burn-forgotten": { refusesForgotten: false },
  "activate-without-all": { preparedNeeded: (holders) => holders - 1 },
  "one-activation": { activationsNeeded: () => 1 },
  "majority-d": { activationsNeeded: (holders) => Math.floor(holders / 2) + 1 },
  "all-activate": { activationsNeeded: (holders) => holders },
  /** The coordinator gives up after it has shown P. */
  "late-order": { drive: { ...drive, certified: { ...drive.certified, on: { ...drive.certified.on, failed: "burning" } } } },
};

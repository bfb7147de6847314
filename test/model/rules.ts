import { attemptTable, isOver, type AttemptEvent, type Stage, type Transition } from "../../agent/rules/reshard/attempt.ts";
import { activationsNeeded, burnsNeeded } from "../../agent/rules/reshard/certificates.ts";
import { driveTable, type DriveEvent, type Message, type Phase } from "../../agent/rules/reshard/drive.ts";
import type { PlanJudge } from "../../agent/rules/reshard/plan.ts";

export type AttemptTable = Readonly<Record<Stage, Readonly<Partial<Record<AttemptEvent, Transition>>>>>;
export type DriveTable = Readonly<Record<Phase, { readonly shows: Message; readonly on: Readonly<Partial<Record<DriveEvent, Phase>>> }>>;
/** Without people: they are in `resolve.ts`. */
export type ModelEvent = Exclude<DriveEvent, "recovered" | "answered-old" | "answered-settled">;
export type Certificate = "P" | "D" | "BURN";

/** Everything that decides in the model. `realRules` are the product's own tables and functions; a break swaps one. */
export interface Rules {
  readonly attempt: AttemptTable;
  readonly drive: DriveTable;
  /** P is of all n': `isPreparedByAll`. */
  readonly preparedNeeded: (holders: number) => number;
  readonly activationsNeeded: (holders: number) => number;
  readonly burnsNeeded: (holders: number) => number;
  readonly isOver: (stage: Stage) => boolean;
  /** What a box asks to be shown before it settles. */
  readonly settlesBy: Certificate;
  /** What the box tells {@link judgeReshardPlan}. */
  readonly judge: (judge: PlanJudge) => PlanJudge;
  /** The stage that a box is found at after a crash. */
  readonly restart: (stage: Stage) => Stage;
  /** A box signs no BURN for an attempt that it has forgotten (`Attempts.prune`): its number is not above the last. */
  readonly refusesForgotten: boolean;
}

export const realRules: Rules = {
  attempt: attemptTable,
  drive: driveTable,
  preparedNeeded: (holders) => holders,
  activationsNeeded,
  burnsNeeded,
  isOver,
  settlesBy: "D",
  judge: (judge) => judge,
  restart: (stage) => stage,
  refusesForgotten: true,
};

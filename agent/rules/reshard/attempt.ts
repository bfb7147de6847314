/**
 * One attempt of a re-shard at one box (protocol.md §7): a table of transitions and a pure function. What is
 * here is durable before it is said; receiving keys and pieces are not, so a restart before PREPARED ends a
 * box's part, and the attempt with it.
 *
 *   joined ──prepare──▶ prepared ──P──▶ activated ──D──▶ settled
 *     │                    │               └──BURN certificate──▶ burnt (back to old)
 *     └──order──▶ renounced┘──order──▶ withdrawn ──BURN certificate──▶ burnt (next is dropped only here)
 *
 * Where people say who is gone, each box answers once and is moved from then on by the answers of all only: `answered`,
 * or `answered-active` where the new share is in force, ──all old──▶ burnt, ──D and two that have settled──▶ settled.
 */
export type Stage =
  /** Takes part; holds no new share. */
  | "joined"
  /** Signed BURN before it had a new share. */
  | "renounced"
  /** The new share is durable as *next*. */
  | "prepared"
  /** Signed BURN while it held *next*, and keeps it until the certificate. */
  | "withdrawn"
  /** The new share is *current*, the one before is kept as *old*. */
  | "activated"
  /** Has answered that it holds *old*, before it had activated. */
  | "answered"
  /** The same after it had: the new share is *current*. */
  | "answered-active"
  /** Certificate D is in hand: *old* is worthless to keep. */
  | "settled"
  /** The BURN certificate is in hand: nothing is left of the attempt. */
  | "burnt";

export type AttemptEvent =
  | "prepare" | "activate" | "burn" | "settle" | "bury"
  /** People say who is gone. */
  | "resolve"
  /** All who are not gone have answered `old`: counts as the BURN certificate. */
  | "back"
  /** D, and at least two have answered that they have settled. */
  | "forward";

/** What happens to the shards in the very batch that makes the new stage durable. */
export type ShelfMove =
  | "none"
  | "store-next"
  /** *next* becomes *current*, *current* becomes *old*. */
  | "promote"
  /** *old* (or, at a box that leaves, *current*) may be destroyed. */
  | "retire"
  /** Both at once: D reaches a box that has only prepared. */
  | "promote-and-retire"
  | "drop-next"
  /** *old* becomes *current* again, the new share is dropped. */
  | "return-to-old";

export interface Transition {
  readonly to: Stage;
  readonly move: ShelfMove;
  /** What the box signs for it, always the same however often it is asked. */
  readonly sign: "prepared" | "activated" | "burn" | "resolved" | null;
}

type Row = Readonly<Partial<Record<AttemptEvent, Transition>>>;
const go = (to: Stage, move: ShelfMove, sign: Transition["sign"] = null): Transition => ({ to, move, sign });

const answered = go("answered", "none", "resolved");
/** Whoever has not answered takes what the answers make for D and for the BURN certificate. */
const unbound = <const R extends { readonly settle: Transition; readonly bury: Transition }>(row: R) => ({ ...row, back: row.bury, forward: row.settle });

/** What is not in a row is refused and changes nothing. BURN and ACTIVATED are never both signed. */
export const attemptTable: Readonly<Record<Stage, Row>> = {
  joined: unbound({
    resolve: answered,
    prepare: go("prepared", "store-next", "prepared"),
    burn: go("renounced", "none", "burn"),
    settle: go("settled", "retire"),
    bury: go("burnt", "none"),
  }),
  renounced: unbound({
    resolve: answered,
    burn: go("renounced", "none", "burn"),
    settle: go("settled", "retire"),
    bury: go("burnt", "none"),
  }),
  prepared: unbound({
    resolve: answered,
    prepare: go("prepared", "none", "prepared"),
    activate: go("activated", "promote", "activated"),
    burn: go("withdrawn", "none", "burn"),
    settle: go("settled", "promote-and-retire"),
    bury: go("burnt", "drop-next"),
  }),
  withdrawn: unbound({
    resolve: answered,
    burn: go("withdrawn", "none", "burn"),
    // D shows that it was not needed for the BURN certificate, which now never forms.
    settle: go("settled", "promote-and-retire"),
    bury: go("burnt", "drop-next"),
  }),
  activated: unbound({
    resolve: go("answered-active", "none", "resolved"),
    activate: go("activated", "none", "activated"),
    settle: go("settled", "retire"),
    bury: go("burnt", "return-to-old"),
  }),
  answered: {
    resolve: answered,
    back: go("burnt", "drop-next"),
    forward: go("settled", "promote-and-retire"),
  },
  "answered-active": {
    resolve: go("answered-active", "none", "resolved"),
    back: go("burnt", "return-to-old"),
    forward: go("settled", "retire"),
  },
  settled: { settle: go("settled", "none"), forward: go("settled", "none"), resolve: go("settled", "none", "resolved") },
  burnt: { bury: go("burnt", "none"), back: go("burnt", "none"), resolve: go("burnt", "none", "resolved") },
};

/** Null: not in the table, nothing changes. */
export function stepAttempt(stage: Stage, event: AttemptEvent): Transition | null {
  return attemptTable[stage][event] ?? null;
}

/** Whether a later attempt may begin for this box: one of the two certificates is in hand. */
export function isOver(stage: Stage): boolean {
  return stage === "settled" || stage === "burnt";
}

/** Whether only the answers of all move this box from here on. */
export function isBound(stage: Stage): boolean {
  return stage === "answered" || stage === "answered-active";
}

/**
 * One attempt as the coordinator drives it (protocol.md §7): what is journalled before it is said. From any
 * phase, after any crash, it goes on by showing the phase's message to whoever has not answered it.
 *
 *   planned ──all PREPARED──▶ certified ──D──▶ settled
 *      │  └─(t witnesses)─▶ unproven ──PROVED──┘ (to certified)
 *      └──failed──▶ burning ◀──failed──┘        burning ──BURN certificate──▶ burnt
 *
 * From `certified` and `burning` people can say who is gone: ──▶ resolving ──all old──▶ burnt, ──D and two settled──▶ settled.
 */
export type Phase =
  /** PLAN is said; JOIN to PREPARED are under way, in memory. */
  | "planned"
  /** P is journalled and not shown: an attested operation on *next* must first find the key's check value right. */
  | "unproven"
  /** P is journalled, so it may have been shown: from here on there is no way but forward. */
  | "certified"
  /** D is journalled, with the answers of two that had settled where people were asked. */
  | "settled"
  /** The order to burn is journalled: P is never shown any more. */
  | "burning"
  /** People have said who is gone; each answer is journalled. P and the order to burn are not shown any more. */
  | "resolving"
  /** The BURN certificate, or that all have answered `old`, is journalled. */
  | "burnt";

export type DriveEvent =
  | "prepared-by-all"
  /** The same where there were only t witnesses. */
  | "prepared-unproven"
  /** PROVED is journalled with P. */
  | "proved"
  /** A deadline passed, somebody refused, the deals are bad, or a restart lost what was in memory. */
  | "failed"
  | "activated-enough"
  | "burnt-enough"
  /** People's evidence of who is gone is complete. */
  | "recovered"
  | "answered-old"
  | "answered-settled";

/** What is shown, again and again, to those who have not answered it. */
export type Message = "activate" | "settle" | "burn" | "bury" | "resolve" | null;

interface Row {
  readonly shows: Message;
  readonly on: Readonly<Partial<Record<DriveEvent, Phase>>>;
}

/** `certified` has no way to `burning`: P and an order to burn are never both shown. */
export const driveTable: Readonly<Record<Phase, Row>> = {
  planned: { shows: null, on: { "prepared-by-all": "certified", "prepared-unproven": "unproven", "failed": "burning" } },
  unproven: { shows: null, on: { "proved": "certified", "failed": "burning" } },
  certified: { shows: "activate", on: { "activated-enough": "settled", "recovered": "resolving" } },
  settled: { shows: "settle", on: {} },
  burning: { shows: "burn", on: { "burnt-enough": "burnt", "recovered": "resolving" } },
  // Not by D alone: whoever has answered would not follow.
  resolving: { shows: "resolve", on: { "answered-old": "burnt", "answered-settled": "settled" } },
  burnt: { shows: "bury", on: {} },
};

/** Null: not in the table, nothing changes. */
export function stepDrive(phase: Phase, event: DriveEvent): Phase | null {
  return driveTable[phase].on[event] ?? null;
}

export function isDecided(phase: Phase): boolean {
  return phase === "settled" || phase === "burnt";
}

import type { z } from "zod";
import { counter } from "../protocol/primitives.ts";
import { tamperedBody, type TamperCause } from "../protocol/tamper.ts";
import type { SiteRecordBody } from "../protocol/site-record.ts";

/** What a panel says of the lid. */
export interface TamperFacts {
  readonly open: boolean;
  readonly latched: boolean;
  readonly damaged: boolean;
  readonly counter: number;
  readonly unwatched: object | null;
}
/** What it means that nobody watched the lid for a time (issue 4): policy decides. */
export type Unwatched = "report" | "lock";

export interface Lid {
  readonly open: boolean;
  readonly cause: TamperCause | null;
  readonly counter: number;
  /** The panel remembers something that a clear would make it forget. */
  readonly marked: boolean;
}

export function lidOf({ open, latched, damaged, counter: own, unwatched }: TamperFacts, policy: Unwatched): Lid {
  const cause = open || latched ? "opened" : damaged ? "damaged" : unwatched !== null && policy === "lock" ? "unwatched" : null;
  return { open, cause, counter: own, marked: latched || damaged || unwatched !== null };
}

/** Durable at the box, until a version of the site record that was made in knowledge of it lifts it. */
export const tamperLock = tamperedBody.extend({ acknowledged: counter.nullable() });
export type TamperLock = z.infer<typeof tamperLock>;
export type TamperStep = "none" | "lock" | "clear" | "lift";

/**
 * What is to be done where the lid is thus; `absent`: its panel does not answer, `none`: there is to be none. Every
 * opening is a lock of its own, and a readmission lifts only what the coordinator had noted before that version: who
 * approved it could not know of more. The panel's memory is cleared first: what it can not forget yet stays locked.
 * While the record is unsealed a box holds nothing, and its case may be open.
 */
export function tamperStep(lock: TamperLock | undefined, lid: Lid | "absent" | "none", box: string, { sealed, boxes }: SiteRecordBody): TamperStep {
  if (typeof lid === "object") {
    if (!sealed) return lid.marked && !lid.open ? "clear" : "none";
    if (lid.cause !== null && lid.counter !== lock?.counter) return "lock";
  }
  const readmitted = boxes.find(({ id }) => id === box)?.readmitted ?? 0;
  if (lock === undefined || lock.acknowledged === null || readmitted <= lock.acknowledged || lid === "absent") return "none";
  if (lid === "none") return "lift";
  if (lid.open) return "none";
  return lid.marked ? "clear" : "lift";
}

/**
 * What a locked box still answers (protocol.md §8): what it hears, and the certificates by which it destroys. Nothing
 * that shows a prompt, opens a shard, or makes it a holder or dealer. `identify` is for who looks for it in the rack.
 */
export const servedWhileLocked: ReadonlySet<string> = new Set([
  "record", "quarantine", "probe", "prompt-cancel", "operation-over", "activate", "identify",
  "reshard-activate", "reshard-settle", "reshard-burn", "reshard-bury", "reshard-resolve",
]);

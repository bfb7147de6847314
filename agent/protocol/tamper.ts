import { z } from "zod";
import { counter } from "./primitives.ts";
import { statement } from "./statement.ts";

/** `unwatched` only where the box's configuration says that it counts like an opening. */
export const tamperCause = z.enum(["opened", "damaged", "unwatched"]);
export type TamperCause = z.infer<typeof tamperCause>;

/** A box's own word that its case was opened (protocol.md §8), signed by its identity key. */
export const tamperedBody = z.strictObject({
  /** The panel's counter, 32 bits: it names this opening. 0 on a board without a latch. */
  counter: z.int().min(0).max(0xffffffff),
  cause: tamperCause,
  /** The version of the site record that was in force at the box when it locked. */
  since: counter,
});
export const tampered = statement("tampered", tamperedBody);
export type Tampered = z.infer<typeof tampered>;

/** The event as it is told, again with every heartbeat while the box is locked. */
export const tamperEvent = z.strictObject({
  what: z.literal("tampered"),
  tampered,
  /** The version of the site record under which the coordinator took note of it; null: it has not yet. */
  acknowledged: counter.nullable(),
});

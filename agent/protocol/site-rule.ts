import { z } from "zod";
import { id, label } from "./primitives.ts";

/**
 * What can be asked of a key; `create` makes it, `reshard` changes threshold, size or several holders, `recover` says
 * which boxes are gone where an attempt can not end. `record` is asked of the site itself, under `key: site`: the next
 * version of its record (protocol.md §2); so is `readmit`, for a version that lifts the quarantine of one box and says
 * nothing else (§8).
 */
export const operation = z.enum(["create", "encrypt", "decrypt", "wrap", "unwrap", "mac", "reshard", "recover", "record", "readmit"]);
export type Operation = z.infer<typeof operation>;

/** A resource pattern: `*` is one segment, a last `**` is any rest, also none. */
export const resourcePattern = z.string().max(200).regex(/^(?:\*\*|(?:[A-Za-z0-9._@+-]+|\*)(?:\/(?:[A-Za-z0-9._@+-]+|\*))*(?:\/\*\*)?)$/, "segments, * for one, /** at the end for any rest");

const role = z.strictObject({ role: label, people: z.int().min(1).max(16) });
const person = z.strictObject({ person: id });

/** One line of policy (design §8). The first rule that names key, operation and resource governs. */
export const rule = z.strictObject({
  key: label,
  resource: resourcePattern.default("**"),
  operations: z.array(operation).min(1),
  /** Who puts a finger on a sensor; never empty. Nobody counts twice. */
  require: z.array(z.union([role, person])).min(1).max(16),
  /** The requester's own finger: must be among those that count, may be, or never counts. */
  requester: z.enum(["must-attest", "may", "never"]).default("never"),
  confirm: z.enum(["none", "code", "button"]).default("none"),
  /** Each finger at another box: a rooted box can be any one person (protocol.md §3). */
  distinctBoxes: z.boolean().default(true),
  /** Releases per holder, counted by each on its own monotonic clock. */
  limit: z.string().regex(/^[1-9][0-9]{0,5}\/(?:minute|hour|day)$/, "like 20/hour").optional(),
});
export type Rule = z.infer<typeof rule>;

import type { z } from "zod";
import type { keyStatus } from "../agent/protocol/messages.ts";
import { isEffective } from "../agent/rules/reshard/exposure.ts";
import { table } from "./output.ts";

export type KeyStatus = z.infer<typeof keyStatus>;

/**
 * What is left of past epochs: nothing counts before fewer than the needed shards may still be there, and what was
 * deleted in software may be in an image of the disk (docs/resharding.md). Empty where there is no past.
 */
export function exposureTable(keys: readonly KeyStatus[]): string[] {
  const rows = keys.flatMap(({ key, exposures }) => exposures.map((one) => [
    key, one.epoch, one.attempt, one.threshold, one.open.join(", ") || "none", one.software, one.hardware, isEffective(one) ? "yes" : "NO",
  ]));
  return rows.length === 0 ? [] : ["", "past epochs: who has not proven its shard destroyed, and how many have", ...table(["KEY", "EPOCH", "ATTEMPT", "NEEDED", "OPEN", "SOFTWARE", "HARDWARE", "EFFECTIVE"], rows)];
}

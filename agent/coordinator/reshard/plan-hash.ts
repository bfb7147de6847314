import type { ReshardPlan } from "../../protocol/reshard.ts";
import { statementHash } from "../../protocol/statement.ts";

const hashes = new WeakMap<ReshardPlan, string>();

/** The name of a plan, hashed once: that of a large batch is 100 KB, and every beat of every box asks for it. */
export function planHashOf(plan: ReshardPlan): string {
  let hash = hashes.get(plan);
  if (hash === undefined) {
    hash = statementHash(plan);
    hashes.set(plan, hash);
  }
  return hash;
}

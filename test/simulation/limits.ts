import type { KeyRecord } from "../../agent/protocol/key-record.ts";
import { keyRecordHash } from "../../agent/protocol/key-record.ts";
import type { Member, ReshardPlan } from "../../agent/protocol/reshard.ts";

/**
 * protocol.md §7, Limits, written a second time and without the rules' code: what an honest box may join without
 * people. Null if the plan is within them.
 */
export function beyondLimits(plan: ReshardPlan, currentOf: (key: string) => KeyRecord | undefined, changedLately: (key: string) => boolean): string | null {
  const { threshold, nextThreshold, size, margin, dealers, witnesses, holders, keys } = plan.body;
  for (const members of [dealers, witnesses, holders]) if (repeats(members)) return "a box or an x twice";
  if (dealers.length !== threshold || !dealers.every((one) => includes(witnesses, one))) return "dealers are not t of the witnesses";
  const isUnproven = witnesses.length <= threshold;
  if (isUnproven && keys.length > 1) return "several keys with no witness more than t";
  if (holders.length < 3 || holders.length < nextThreshold + margin) return "below the floor";
  if (holders.length > size) return "more holders than the key shall have";
  for (const { key, epoch, previous } of keys) {
    const current = currentOf(key);
    if (current === undefined) continue;
    if (previous !== keyRecordHash(current) || epoch !== current.epoch + 1) return "it does not follow the record";
    if (nextThreshold !== current.threshold || threshold !== current.threshold || size !== current.size || margin !== current.margin) return "threshold, size or margin changed";
    if (!witnesses.every((one) => includes(current.holders, one))) return "a witness is no holder";
    if (isUnproven && holders.some(({ box }) => current.holders.some((one) => one.box === box) && !witnesses.some((one) => one.box === box))) return "no witness more than t, though one could";
    const leave = current.holders.filter(({ box }) => !holders.some((one) => one.box === box)).length;
    const come = holders.filter(({ box }) => !current.holders.some((one) => one.box === box)).length;
    if (leave > 1 || come > 1) return "more than one holder changed";
    if (leave + come > 0 && changedLately(key)) return "a holder changed within the window";
  }
  return null;
}

function repeats(members: readonly Member[]): boolean {
  return new Set(members.map(({ box }) => box)).size !== members.length || new Set(members.map(({ x }) => x)).size !== members.length;
}

function includes(members: readonly Member[], { box, x }: Member): boolean {
  return members.some((one) => one.box === box && one.x === x);
}

/** protocol.md §7: D of n' new holders. */
export const neededForD = (holders: number): number => Math.max(3, holders - 1);
/** protocol.md §7: BURN. */
export const neededForBurn = (holders: number): number => holders - neededForD(holders) + 2;

import type { z } from "zod";
import { keyRecordHash, type CertifiedRecord, type KeyRecord } from "../protocol/key-record.ts";
import type { clientRequests, keyStatus } from "../protocol/messages.ts";
import { exposureOf, type Exposure } from "../rules/reshard/exposure.ts";
import { ShardkeepError } from "../runtime/errors.ts";
import type { KeyShelf } from "./key-shelf.ts";
import type { Journal } from "./reshard/journal.ts";
import { planHashOf } from "./reshard/plan-hash.ts";
import type { Resharder } from "./reshard/resharder.ts";

/** A key's newest record with what certifies it. */
export function showKey(keys: KeyShelf, journal: Journal, key: string): Promise<z.infer<typeof clientRequests["key-show"]["response"]>> {
  const kept = keys.get(key);
  if (kept === undefined) return Promise.reject(new ShardkeepError("UNKNOWN_KEY", `there is no key ${key}`, { remedy: "shardkeep key list" }));
  const entry = journal.get(kept.record.plan);
  if (entry === undefined) return Promise.resolve(kept satisfies CertifiedRecord);
  return Promise.resolve({ record: kept.record, plan: entry.plan, records: entry.records, prepared: entry.prepared });
}

/** Every past epoch of the key of which something may be left, and every burnt attempt, oldest first. */
function exposuresOf(journal: Journal, { key }: KeyRecord): Exposure[] {
  return journal.all().flatMap((entry): Exposure[] => {
    const planned = entry.plan.body.keys.find((one) => one.key === key);
    if (planned === undefined) return [];
    const destroyed = journal.destroyedOf(planHashOf(entry.plan));
    const { threshold, nextThreshold, holders } = entry.plan.body;
    if (entry.phase === "planned" || entry.phase === "unproven" || entry.phase === "certified") return [];
    if (entry.phase === "settled") return [exposureOf(planned.epoch - 1, planned.attempt, threshold, entry.old, destroyed)];
    return [exposureOf(planned.epoch, planned.attempt, nextThreshold, holders.map(({ box }) => box), destroyed)];
  });
}

export function keyStatuses(keys: KeyShelf, journal: Journal, resharder: Resharder, isLive: (box: string) => boolean): z.infer<typeof keyStatus>[] {
  const open = new Map(journal.all().flatMap(({ plan, phase }) => (phase === "settled" || phase === "burnt" ? [] : plan.body.keys.map(({ key }) => [key, phase] as const))));
  return keys.all().map(({ record }) => {
    const { key, kind, epoch, threshold, size, imported } = record;
    const holders = record.holders.map(({ box }) => box);
    return {
      key, kind, epoch, threshold, size, holders, live: holders.filter(isLive).length, record: keyRecordHash(record), imported: imported !== null,
      reshard: open.get(key) ?? null, held: resharder.holdOf(key),
      exposures: exposuresOf(journal, record).map((one) => ({ ...one, open: [...one.open] })),
    };
  });
}

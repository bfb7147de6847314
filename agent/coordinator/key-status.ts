import type { z } from "zod";
import { mostMessageBytes } from "../protocol/envelope.ts";
import { keyRecordHash, type CertifiedRecord } from "../protocol/key-record.ts";
import type { clientRequests, keyStatus } from "../protocol/messages.ts";
import { statementHash } from "../protocol/statement.ts";
import { exposureOf, type Exposure } from "../rules/reshard/exposure.ts";
import { ShardkeepError } from "../runtime/errors.ts";
import type { KeyShelf } from "./key-shelf.ts";
import type { Journal } from "./reshard/journal.ts";
import type { Resharder } from "./reshard/resharder.ts";

/** A key's newest record with what certifies it. */
export function showKey(keys: KeyShelf, journal: Journal, key: string): Promise<z.infer<typeof clientRequests["key-show"]["response"]>> {
  const kept = keys.get(key);
  if (kept === undefined) return Promise.reject(new ShardkeepError("UNKNOWN_KEY", `there is no key ${key}`, { remedy: "shardkeep key list" }));
  const entry = journal.get(kept.record.plan);
  if (entry === undefined) return Promise.resolve(kept satisfies CertifiedRecord);
  return Promise.resolve({ record: kept.record, plan: entry.plan, records: entry.records, prepared: entry.prepared });
}

/** Of each key every past epoch of which something may be left, and every burnt attempt, oldest first. */
function exposuresByKey(journal: Journal): ReadonlyMap<string, readonly Exposure[]> {
  const found = new Map<string, Exposure[]>();
  for (const { plan, phase, old } of journal.all()) {
    if (phase === "planned" || phase === "unproven" || phase === "certified" || phase === "resolving") continue;
    const destroyed = journal.destroyedOf(statementHash(plan));
    const { threshold, nextThreshold, holders, keys } = plan.body;
    for (const { key, epoch, attempt } of keys) {
      const exposure = phase === "settled" ? exposureOf(epoch - 1, attempt, threshold, old, destroyed) : exposureOf(epoch, attempt, nextThreshold, holders.map(({ box }) => box), destroyed);
      const known = found.get(key);
      if (known === undefined) found.set(key, [exposure]);
      else known.push(exposure);
    }
  }
  return found;
}

type KeyStatus = z.infer<typeof keyStatus>;
/** Half a message: the boxes stand in it too. */
const mostPageLength = mostMessageBytes / 2;

/** As many as fit a message, in the order of their names, from the one after `after` on; `next` where there are more. */
export function pageOf(all: readonly KeyStatus[], after = ""): { keys: KeyStatus[]; next?: string } {
  const rest = all.filter(({ key }) => key > after).sort((a, b) => (a.key < b.key ? -1 : 1));
  let length = 0;
  const end = rest.findIndex((one, i) => (length += JSON.stringify(one).length) > mostPageLength && i > 0);
  const last = rest[end - 1];
  return last === undefined ? { keys: rest } : { keys: rest.slice(0, end), next: last.key };
}

export function keyStatuses(keys: KeyShelf, journal: Journal, resharder: Resharder, isLive: (box: string) => boolean): KeyStatus[] {
  const open = new Map(journal.all().flatMap(({ plan, phase }) => (phase === "settled" || phase === "burnt" ? [] : plan.body.keys.map(({ key }) => [key, phase] as const))));
  const exposures = exposuresByKey(journal);
  return keys.all().map(({ record }) => {
    const { key, kind, epoch, threshold, size, imported } = record;
    const holders = record.holders.map(({ box }) => box);
    return {
      key, kind, epoch, threshold, size, holders, live: holders.filter(isLive).length, record: keyRecordHash(record), imported: imported !== null,
      reshard: open.get(key) ?? null, held: resharder.holdOf(key),
      exposures: (exposures.get(key) ?? []).map((one) => ({ ...one, open: [...one.open] })),
    };
  });
}

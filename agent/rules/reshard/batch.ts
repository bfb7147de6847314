import type { KeyRecord } from "../../protocol/key-record.ts";
import { mostBatchKeys } from "../../protocol/reshard.ts";
import type { Proposal } from "./propose.ts";

export type Planned = Extract<Proposal, { kind: "plan" }>;
export interface Batch { readonly proposal: Planned; readonly records: readonly KeyRecord[] }
/** What is to be done with one key. Keys of different parts go apart: somebody refused a batch in which they were together. */
export interface Proposed { readonly record: KeyRecord; readonly proposal: Planned; readonly part: string }

/** Records, digests and pieces of a batch fit one message: so many shares in all. */
const mostShares = 3600;
/** Its PLAN as well, and what is shown with it (mostMessageBytes): so many characters of keys. */
const mostKeysLength = 256 * 1024;
/** A key in PLAN at its longest, but for what was imported. */
const plainKeyLength = 256;

/** Keys for which the same is to be done, in batches that fit a message; who does not fit any more has its turn after this batch. */
export function batchesOf(all: readonly Proposed[]): Batch[] {
  const batches = new Map<string, { readonly proposal: Planned; readonly records: KeyRecord[]; length: number }>();
  for (const { record, proposal, part } of all) {
    const { threshold, size, margin, holders, imported } = record;
    // Also the old holders: with those of one key only, a lost box of another would never be shown D.
    const alone = proposal.witnesses.length === threshold ? record.key : ""; // what is unproven is proven key by key
    const name = JSON.stringify([proposal, holders.map(({ box }) => box), threshold, size, margin, part, alone]);
    const batch = batches.get(name) ?? { proposal, records: [], length: 0 };
    batches.set(name, batch);
    const length = batch.length + plainKeyLength + (imported?.length ?? 0);
    if (batch.records.length >= Math.min(mostBatchKeys, Math.floor(mostShares / proposal.holders.length)) || length > mostKeysLength) continue;
    batch.records.push(record);
    batch.length = length;
  }
  return [...batches.values()];
}

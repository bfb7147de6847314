import { z } from "zod";
import { evidence } from "../../protocol/evidence.ts";
import { keyRecord, type KeyRecord } from "../../protocol/key-record.ts";
import { hash, id } from "../../protocol/primitives.ts";
import { approvalFields } from "../../protocol/request.ts";
import { batchActivated, batchBurn, batchDestroyed, batchPrepared, batchResolved, participantsOf, provedUse, reshardPlan, type BatchDestroyed } from "../../protocol/reshard.ts";
import { statementHash } from "../../protocol/statement.ts";
import { isDecided, type Phase } from "../../rules/reshard/drive.ts";
import { entriesJson, putJson } from "../../store/json.ts";
import type { Change, Store } from "../../store/store.ts";

const phases = ["planned", "unproven", "certified", "settled", "burning", "resolving", "burnt"] as const satisfies readonly Phase[];

const entry = z.strictObject({
  plan: reshardPlan,
  phase: z.enum(phases),
  /** The holders of the epoch before: theirs are the shards that D lets be destroyed. */
  old: z.array(id),
  batch: hash.nullable(),
  /** Hashes of the new records, in the plan's order; none before P. */
  records: z.array(hash),
  prepared: z.array(batchPrepared),
  /** PROVED, where there were only t witnesses. */
  proof: provedUse.nullable(),
  activated: z.array(batchActivated),
  burns: z.array(batchBurn),
  /** Who is gone, by people's evidence, and what the others have answered so far. */
  resolution: z.strictObject({
    gone: z.array(id), approval: z.strictObject({ fields: approvalFields, evidence: z.array(evidence) }), answers: z.array(batchResolved),
  }).optional(),
});
export type Entry = z.infer<typeof entry>;
const made = z.array(keyRecord);

/** Decided attempts of which nothing is left anywhere are kept for the display of past epochs, but not for ever. */
const mostFinished = 32;

/**
 * The coordinator's memory of attempts: durable before anything is said by it. Certificate D stays until every
 * box that held the old epoch has destroyed it, for a box may come back after a year.
 */
export class Journal {
  readonly #store: Store;
  readonly #entries = new Map<string, Entry>();
  readonly #records = new Map<string, KeyRecord[]>();
  readonly #destroyed = new Map<string, Map<string, BatchDestroyed>>();
  /** By record: the settled plan that replaced it, the burnt plan that would have made it. */
  readonly #replacedBy = new Map<string, string>();
  readonly #burntWith = new Map<string, string>();

  constructor(store: Store) {
    this.#store = store;
    for (const [, one] of entriesJson(store, "reshard/", entry)) this.#note(one);
    for (const [name, records] of entriesJson(store, "reshard-records/", made)) this.#records.set(name.slice("reshard-records/".length), records);
    for (const [, one] of entriesJson(store, "reshard-destroyed/", batchDestroyed)) this.#of(one.body.plan).set(one.by, one);
  }

  all(): Entry[] {
    return [...this.#entries.values()];
  }

  get(planHash: string): Entry | undefined {
    return this.#entries.get(planHash);
  }

  /** The new records of an attempt that all have prepared and that is not yet settled. */
  recordsOf(planHash: string): readonly KeyRecord[] {
    return this.#records.get(planHash) ?? [];
  }

  destroyedOf(planHash: string): ReadonlyMap<string, BatchDestroyed> {
    return this.#of(planHash);
  }

  /** Everybody who may hold something of this attempt or of the epoch before it. */
  concerned({ plan, old }: Entry): string[] {
    return [...new Set([...old, ...participantsOf(plan)])].sort();
  }

  /** Keys with an attempt that is not decided: no other begins for them. */
  busyKeys(): Set<string> {
    return new Set(this.all().filter(({ phase }) => !isDecided(phase)).flatMap(({ plan }) => plan.body.keys.map(({ key }) => key)));
  }

  async put(one: Entry, also: readonly Change[] = [], records?: readonly KeyRecord[]): Promise<void> {
    const planHash = statementHash(one.plan);
    const changes: Change[] = [putJson(`reshard/${planHash}`, one), ...also];
    if (records !== undefined) changes.push(putJson(`reshard-records/${planHash}`, records));
    if (isDecided(one.phase)) changes.push({ del: `reshard-records/${planHash}` });
    await this.#store.commit(changes);
    this.#note(one);
    if (records !== undefined) this.#records.set(planHash, [...records]);
    if (isDecided(one.phase)) this.#records.delete(planHash);
  }

  async destroyed(statement: BatchDestroyed): Promise<void> {
    const { plan } = statement.body;
    if (this.#of(plan).has(statement.by)) return;
    await this.#store.commit([putJson(`reshard-destroyed/${plan}/${statement.by}`, statement)]);
    this.#of(plan).set(statement.by, statement);
  }

  /** Whether nobody is left who would have to be shown this attempt's certificate. */
  isFinished(one: Entry): boolean {
    const destroyed = this.#of(statementHash(one.plan));
    return isDecided(one.phase) && this.concerned(one).every((box) => destroyed.has(box));
  }

  /** `inForce`: plans whose records are the keys' newest; their certificates are shown to whoever asks. */
  async prune(inForce: ReadonlySet<string>): Promise<void> {
    const finished = this.all().filter((one) => this.isFinished(one) && !inForce.has(statementHash(one.plan)));
    const dropped = finished.slice(0, Math.max(0, finished.length - mostFinished)).map(({ plan }) => statementHash(plan));
    if (dropped.length === 0) return;
    await this.#store.commit(dropped.flatMap((planHash) => [
      { del: `reshard/${planHash}` }, ...[...this.#of(planHash).keys()].map((box) => ({ del: `reshard-destroyed/${planHash}/${box}` })),
    ]));
    for (const planHash of dropped) {
      this.#entries.delete(planHash);
      this.#destroyed.delete(planHash);
    }
  }

  /** Whether this box has signed that nothing here opens its shard of that record any more. */
  sworeDestroyed(box: string, record: string): boolean {
    const planHash = this.#replacedBy.get(record) ?? this.#burntWith.get(record);
    return planHash !== undefined && this.#of(planHash).has(box);
  }

  /** Whether there is still something to show to those who hold a shard of that record. */
  isReplaced(record: string): boolean {
    return this.#replacedBy.has(record);
  }

  #note(one: Entry): void {
    const planHash = statementHash(one.plan);
    this.#entries.set(planHash, one);
    if (one.phase === "settled") for (const { previous } of one.plan.body.keys) this.#replacedBy.set(previous, planHash);
    if (one.phase === "burnt") for (const record of one.records) this.#burntWith.set(record, planHash);
  }

  #of(planHash: string): Map<string, BatchDestroyed> {
    let destroyed = this.#destroyed.get(planHash);
    if (destroyed === undefined) {
      destroyed = new Map();
      this.#destroyed.set(planHash, destroyed);
    }
    return destroyed;
  }
}

import { z } from "zod";
import { counter, id } from "../protocol/primitives.ts";
import { refOf, siteRecord, type SiteRecord, type SiteRecordRef } from "../protocol/site-record.ts";
import { statementHash } from "../protocol/statement.ts";
import { stands, type Quarantine } from "../rules/conviction.ts";
import { judgeStep } from "../rules/record-step.ts";
import { awaitedOf, isAwaited, type Awaited } from "../rules/recovery.ts";
import type { Judge } from "../rules/judge.ts";
import { Refusal } from "../rules/refusal.ts";
import { isNamed, ShardkeepError } from "../runtime/errors.ts";
import type { Log } from "../runtime/log.ts";
import { Turns } from "../runtime/turns.ts";
import { entriesJson, getJson, putJson } from "../store/json.ts";
import type { Store } from "../store/store.ts";

const quarantine = z.strictObject({ box: id, reason: z.string(), since: counter.default(1) });

/**
 * The box's own copy of the site record. It moves by one verified version at a time (protocol.md §2) and
 * is durable before anything is judged by it.
 */
export class RecordKeeper {
  readonly #store: Store;
  readonly #log: Log;
  #current: SiteRecord;
  readonly #quarantines: Map<string, Quarantine>;
  readonly #turns = new Turns();
  #pending: SiteRecord | undefined;
  #onChange: (before: SiteRecord, after: SiteRecord) => void = () => undefined;
  #onAwaited: () => void = () => undefined;

  constructor(store: Store, log: Log) {
    const record = getJson(store, "site-record", siteRecord);
    if (record === undefined) throw new ShardkeepError("NOT_JOINED", "this box has no site record", { remedy: "shardkeep box accept ANSWER --config FILE" });
    this.#store = store;
    this.#log = log;
    this.#current = record;
    this.#pending = getJson(store, "recovery", siteRecord);
    this.#quarantines = new Map(entriesJson(store, "quarantine/", quarantine).map(([, entry]) => [entry.box, entry]));
  }

  get current(): SiteRecord {
    return this.#current;
  }

  get ref(): SiteRecordRef {
    return refOf(this.#current);
  }

  /** The identity key of those who may talk to a box: its coordinator, nobody else. */
  keyOf(sender: string): string | undefined {
    const { coordinator } = this.#current.body;
    return sender === coordinator.id ? coordinator.key : undefined;
  }

  /** Called once a version is durable. */
  onChange(handler: (before: SiteRecord, after: SiteRecord) => void): void {
    this.#onChange = handler;
  }

  /** A version under the recovery key that is not yet in force: whoever owns this box counts its running time. */
  get awaited(): Awaited | undefined {
    return awaitedOf(this.#current, this.#pending);
  }

  /** Called once what is awaited is durable, and once it has come or gone. */
  onAwaited(handler: () => void): void {
    this.#onAwaited = handler;
  }

  isQuarantined(box: string): boolean {
    const known = this.#quarantines.get(box);
    return known !== undefined && stands(known, this.#current.body);
  }

  /** What this box knows when it judges a message of that session of the coordinator. */
  judge(box: string, honours: (nonce: string) => boolean, coordinatorBoot: string): Judge {
    return { box, siteRecord: this.#current, honours, coordinatorBoot, isQuarantined: (other) => this.isQuarantined(other) };
  }

  /**
   * Walks the chain version by version; versions it already has are skipped, a second of one version alarms: two offers may
   * overlap. A chain with nothing newer is refused. One under the recovery key waits, and with it all that follow.
   */
  follow(chain: readonly SiteRecord[]): Promise<SiteRecordRef> {
    // One chain at a time: two that were both checked against one version would give it two successors.
    return this.#turns.run(() => this.#follow(chain));
  }

  async #follow(chain: readonly SiteRecord[]): Promise<SiteRecordRef> {
    const { version } = this.#current.body;
    const isNews = chain.some(({ body }) => body.version > version);
    for (const next of chain) {
      if (isNews && next.body.version < version) continue;
      if (next.body.version === this.#current.body.version && statementHash(next) === statementHash(this.#current)) continue;
      try {
        judgeStep(this.#current, next, (box, version) => this.isQuarantined(box) && (this.#quarantines.get(box)?.since ?? 0) <= version);
      } catch (error) {
        if (isNamed(error) && error.code === "RECORD_FORK") this.#log.error("site record forked", { version: next.body.version });
        throw error;
      }
      if (next.recovery !== undefined) {
        await this.#await(next);
        break;
      }
      await this.#take(next);
    }
    return this.ref;
  }

  /** Its delay is over: it comes into force, unless another version has. */
  ripen(hash: string): Promise<void> {
    return this.#turns.run(async () => {
      if (this.#pending !== undefined && statementHash(this.#pending) === hash) await this.#take(this.#pending);
    });
  }

  async #await(next: SiteRecord): Promise<void> {
    if (isAwaited(this.#pending, statementHash(next))) return;
    await this.#store.commit([putJson("recovery", next)]);
    this.#pending = next;
    this.#onAwaited();
  }

  /** With any version what waited is past: it came, or was vetoed (protocol.md §2). */
  async #take(next: SiteRecord): Promise<void> {
    await this.#store.commit([putJson("site-record", next), { del: "recovery" }]);
    const before = this.#current;
    this.#current = next;
    this.#pending = undefined;
    this.#log.info("site record", { version: next.body.version, sealed: next.body.sealed });
    this.#onChange(before, next);
    this.#onAwaited();
  }

  /** Evidence of `box` counts no more; only a version of the record after `since` lifts it (protocol.md §8). Throws UNKNOWN_BOX. */
  async quarantine(box: string, reason: string, since = this.#current.body.version): Promise<void> {
    if (since <= (this.#quarantines.get(box)?.since ?? 0)) return;
    // Else whoever owns the coordinator could fill this store with names.
    if (!this.#current.body.boxes.some(({ id: known }) => known === box)) throw new Refusal("UNKNOWN_BOX", `${box} is no box of this site`);
    await this.#store.commit([putJson(`quarantine/${box}`, { box, reason, since })]);
    this.#quarantines.set(box, { box, reason, since });
    this.#log.warn("quarantine", { box, reason });
  }
}

import { z } from "zod";
import { id } from "../protocol/primitives.ts";
import { refOf, siteRecord, type SiteRecord, type SiteRecordRef } from "../protocol/site-record.ts";
import { statementHash } from "../protocol/statement.ts";
import { judgeStep } from "../rules/record-step.ts";
import type { Judge } from "../rules/judge.ts";
import { Refusal } from "../rules/refusal.ts";
import { isNamed, ShardkeepError } from "../runtime/errors.ts";
import type { Log } from "../runtime/log.ts";
import { Turns } from "../runtime/turns.ts";
import { entriesJson, getJson, putJson } from "../store/json.ts";
import type { Store } from "../store/store.ts";

const quarantine = z.strictObject({ box: id, reason: z.string() });

/**
 * The box's own copy of the site record. It moves by one verified version at a time (protocol.md §2) and
 * is durable before anything is judged by it.
 */
export class RecordKeeper {
  readonly #store: Store;
  readonly #log: Log;
  #current: SiteRecord;
  readonly #quarantined: Set<string>;
  readonly #turns = new Turns();

  constructor(store: Store, log: Log) {
    const record = getJson(store, "site-record", siteRecord);
    if (record === undefined) throw new ShardkeepError("NOT_JOINED", "this box has no site record", { remedy: "shardkeep box accept ANSWER --config FILE" });
    this.#store = store;
    this.#log = log;
    this.#current = record;
    this.#quarantined = new Set(entriesJson(store, "quarantine/", quarantine).map(([, entry]) => entry.box));
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

  isQuarantined(box: string): boolean {
    return this.#quarantined.has(box);
  }

  /** What this box knows when it judges a message of that session of the coordinator. */
  judge(box: string, honours: (nonce: string) => boolean, coordinatorBoot: string): Judge {
    return { box, siteRecord: this.#current, honours, coordinatorBoot, isQuarantined: (other) => this.isQuarantined(other) };
  }

  /** Walks the chain version by version; versions it already has are skipped, a second of one version alarms. */
  follow(chain: readonly SiteRecord[]): Promise<SiteRecordRef> {
    // One chain at a time: two that were both checked against one version would give it two successors.
    return this.#turns.run(() => this.#follow(chain));
  }

  async #follow(chain: readonly SiteRecord[]): Promise<SiteRecordRef> {
    for (const next of chain) {
      if (next.body.version === this.#current.body.version && statementHash(next) === statementHash(this.#current)) continue;
      try {
        judgeStep(this.#current, next, (box) => this.isQuarantined(box));
      } catch (error) {
        if (isNamed(error) && error.code === "RECORD_FORK") this.#log.error("site record forked", { version: next.body.version });
        throw error;
      }
      await this.#store.commit([putJson("site-record", next)]);
      this.#current = next;
      this.#log.info("site record", { version: next.body.version, sealed: next.body.sealed });
    }
    return this.ref;
  }

  /** Evidence of `box` counts no more; only a version of the record lifts it (protocol.md §8). Throws UNKNOWN_BOX. */
  async quarantine(box: string, reason: string): Promise<void> {
    if (this.#quarantined.has(box)) return;
    // Else whoever owns the coordinator could fill this store with names.
    if (!this.#current.body.boxes.some(({ id: known }) => known === box)) throw new Refusal("UNKNOWN_BOX", `${box} is no box of this site`);
    await this.#store.commit([putJson(`quarantine/${box}`, { box, reason })]);
    this.#quarantined.add(box);
    this.#log.warn("quarantine", { box, reason });
  }
}

import type { KeyRecord } from "../../protocol/key-record.ts";
import type { ProvedUse } from "../../protocol/reshard.ts";
import { resultHash } from "../../protocol/result.ts";
import { statementHash } from "../../protocol/statement.ts";
import { stepDrive } from "../../rules/reshard/drive.ts";
import { requireProved } from "../../rules/reshard/proof.ts";
import { hasCode } from "../../runtime/errors.ts";
import { Turns } from "../../runtime/turns.ts";
import { OperationError } from "../failures.ts";
import type { Fleet } from "../fleet.ts";
import type { Operation, UseResult } from "../operation.ts";
import type { CoordinatorParts } from "../parts.ts";
import type { Driver } from "./driver.ts";
import type { Entry, Journal } from "./journal.ts";
import type { Patience } from "./patience.ts";

type Asked = Pick<Operation, "fields" | "evidence">;

/**
 * Attempts with only t witnesses (protocol.md §7): all have prepared, and nobody knows whether it is the same key before
 * an enclave has combined it. People's requests are served by *next* first, and what becomes of one decides: PROVED, which
 * is journalled with P before either is shown, or the attempt is burnt and *current* serves.
 */
export class Proofs {
  readonly #parts: CoordinatorParts;
  readonly #fleet: Fleet;
  readonly #journal: Journal;
  readonly #driver: Driver;
  readonly #patience: Patience;
  /** A request on *next* that failed for whatever reason: the one after it goes to *current*. */
  readonly #missed = new Set<string>();
  /** P and an order to burn are never both shown: one decision about an attempt at a time. */
  readonly #turns = new Turns();

  constructor(parts: CoordinatorParts, fleet: Fleet, journal: Journal, driver: Driver, patience: Patience) {
    this.#parts = parts;
    this.#fleet = fleet;
    this.#journal = journal;
    this.#driver = driver;
    this.#patience = patience;
  }

  /** The record to be proven, for the next request on its key; undefined where there is none, or too few serve it. */
  serving(key: string): KeyRecord | undefined {
    for (const { plan } of this.#open()) {
      const record = this.#journal.recordsOf(statementHash(plan)).find((one) => one.key === key);
      if (record === undefined || this.#missed.delete(statementHash(plan))) continue;
      if (record.holders.filter(({ box }) => this.#fleet.isLive(box)).length >= record.threshold) return record;
    }
    return undefined;
  }

  /** An operation succeeded. Where it was on *next*, its enclave found the check value right: PROVED. */
  async proved({ fields, evidence }: Asked, answer: UseResult): Promise<void> {
    // What people approved without an enclave, a plan, is no record either.
    if (this.#of(fields.record) === undefined || !("enclave" in fields) || !("sig" in answer)) return;
    const proof: ProvedUse = { fields, evidence: [...evidence], result: resultHash(this.#parts.config.site, answer.result), sig: answer.sig };
    await this.#decide(fields.record, (entry) => {
      // What boxes would refuse is not journalled: from there on there is no way but forward.
      requireProved(entry.plan, entry.batch ?? "", proof, this.#parts.site.current);
      return { ...entry, proof, phase: stepDrive(entry.phase, "proved") ?? entry.phase };
    });
  }

  /** An operation failed. Where it was on *next*, and that is not of the key, the attempt is burnt. Rejects then, saying so. */
  async failed({ fields }: Asked, error: unknown): Promise<void> {
    const of = this.#of(fields.record);
    if (of === undefined) return;
    this.#missed.add(statementHash(of.plan));
    if (!hasCode(error, "KEY_CHECK_FAILED")) return;
    this.#parts.log.error("re-shard disproved", { key: fields.use.body.key, epoch: fields.epoch, attempt: fields.attempt });
    this.#patience.disproved(of.plan);
    await this.#decide(fields.record, burnt);
    throw new OperationError("KEY_CHECK_FAILED", `the new shards of ${fields.use.body.key} are not of the same key: they are given up`, { cause: error, remedy: "ask again: the shards before them serve", retryable: true });
  }

  /** With one old holder more there is an attempt that proves itself: what waits for a use is given up for it. */
  giveUp(): void {
    for (const { plan, old, records } of this.#open()) {
      const [record] = records;
      if (record !== undefined && old.filter((box) => this.#fleet.isLive(box)).length > plan.body.threshold) void this.#decide(record, burnt);
    }
  }

  #open(): Entry[] {
    return this.#journal.all().filter(({ phase }) => phase === "unproven");
  }

  #of(record: string): Entry | undefined {
    return this.#open().find(({ records }) => records.includes(record));
  }

  /** Journalled before it is said. The requester has its answer whatever becomes of this; the next request tries again. */
  async #decide(record: string, to: (entry: Entry) => Entry): Promise<void> {
    try {
      await this.#turns.run(async () => {
        const entry = this.#of(record);
        if (entry !== undefined) await this.#journal.put(to(entry));
      });
      this.#driver.drive();
    } catch (error) {
      this.#parts.log.error("re-shard proof not kept", { error: String(error) });
    }
  }
}

function burnt(entry: Entry): Entry {
  return { ...entry, phase: stepDrive(entry.phase, "failed") ?? entry.phase };
}

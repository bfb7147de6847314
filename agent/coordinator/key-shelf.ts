import { z } from "zod";
import type { Holding } from "../protocol/heartbeat.ts";
import { boxRequests } from "../protocol/messages.ts";
import { keyRecord, keyRecordHash, prepared, type CertifiedRecord, type KeyRecord } from "../protocol/key-record.ts";
import { counter } from "../protocol/primitives.ts";
import { entriesJson, getJson, putJson } from "../store/json.ts";
import type { Change } from "../store/store.ts";
import type { CoordinatorParts } from "./parts.ts";

/** A key's newest record; the certificate of one that was re-sharded is with its attempt. */
const kept = z.strictObject({ record: keyRecord, prepared: z.array(prepared).max(255) });
export type Kept = z.infer<typeof kept>;

/** The newest records of all keys; and who still has to activate those just born. */
export class KeyShelf {
  readonly #parts: CoordinatorParts;
  readonly #keys = new Map<string, Kept>();

  constructor(parts: CoordinatorParts) {
    this.#parts = parts;
    for (const [, one] of entriesJson(parts.store, "key/", kept)) this.#keys.set(one.record.key, one);
  }

  get(key: string): Kept | undefined {
    return this.#keys.get(key);
  }

  all(): Kept[] {
    return [...this.#keys.values()];
  }

  /** The next attempt for a key, never one that was used (protocol.md §7): durable before it is said. */
  async nextAttempt(key: string): Promise<number> {
    const attempt = this.lastAttempt(key) + 1;
    await this.#parts.store.commit([this.attempted(key, attempt)]);
    return attempt;
  }

  lastAttempt(key: string): number {
    return getJson(this.#parts.store, `attempt/${key}`, counter) ?? 0;
  }

  attempted(key: string, attempt: number): Change {
    return putJson(`attempt/${key}`, attempt);
  }

  /** The certificate is durable before the first ACTIVATE: a crash from here on ends forward. */
  async keep(certified: CertifiedRecord): Promise<void> {
    await this.#parts.store.commit([putJson(`key/${certified.record.key}`, certified)]);
    this.#keys.set(certified.record.key, certified);
  }

  /** For the batch that makes re-sharded records the newest; {@link took} once it is durable. */
  changes(records: readonly KeyRecord[]): Change[] {
    return records.map((record) => putJson(`key/${record.key}`, { record, prepared: [] }));
  }

  took(records: readonly KeyRecord[]): void {
    for (const record of records) this.#keys.set(record.key, { record, prepared: [] });
  }

  /** Shows the certificate of a birth to every holder that has prepared but not activated: after any crash, by whoever lives. */
  drive(box: string, holdings: readonly Holding[]): void {
    for (const { key, record, state } of holdings) {
      const certified = state === "next" ? this.get(key) : undefined;
      if (certified === undefined || certified.prepared.length === 0 || keyRecordHash(certified.record) !== record) continue;
      this.#parts.exchange.request(boxRequests, "activate", box, certified).catch((error: unknown) => {
        this.#parts.log.warn("not activated", { box, key, error: String(error) });
      });
    }
  }
}

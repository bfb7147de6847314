import type { Holding } from "../protocol/heartbeat.ts";
import { boxRequests } from "../protocol/messages.ts";
import { certifiedRecord, keyRecordHash, type CertifiedRecord } from "../protocol/key-record.ts";
import { counter } from "../protocol/primitives.ts";
import { entriesJson, getJson, putJson } from "../store/json.ts";
import type { CoordinatorParts } from "./parts.ts";

/** The records of all keys, with their certificates; and who still has to activate them. */
export class KeyShelf {
  readonly #parts: CoordinatorParts;

  constructor(parts: CoordinatorParts) {
    this.#parts = parts;
  }

  get(key: string): CertifiedRecord | undefined {
    return getJson(this.#parts.store, `key/${key}`, certifiedRecord);
  }

  all(): CertifiedRecord[] {
    return entriesJson(this.#parts.store, "key/", certifiedRecord).map(([, one]) => one);
  }

  /** The next attempt for a key, never one that was used (protocol.md §7): durable before it is said. */
  async nextAttempt(key: string): Promise<number> {
    const attempt = (getJson(this.#parts.store, `attempt/${key}`, counter) ?? 0) + 1;
    await this.#parts.store.commit([putJson(`attempt/${key}`, attempt)]);
    return attempt;
  }

  /** The certificate is durable before the first ACTIVATE: a crash from here on ends forward. */
  async keep(certified: CertifiedRecord): Promise<void> {
    await this.#parts.store.commit([putJson(`key/${certified.record.key}`, certified)]);
  }

  /** Shows the certificate to every holder that has prepared but not activated: after any crash, by whoever lives. */
  drive(box: string, holdings: readonly Holding[]): void {
    for (const { key, record, state } of holdings) {
      const certified = state === "next" ? this.get(key) : undefined;
      if (certified === undefined || keyRecordHash(certified.record) !== record) continue;
      this.#parts.exchange.request(boxRequests, "activate", box, certified).catch((error: unknown) => {
        this.#parts.log.warn("not activated", { box, key, error: String(error) });
      });
    }
  }
}

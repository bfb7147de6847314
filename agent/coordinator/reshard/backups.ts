import type { Holding } from "../../protocol/heartbeat.ts";
import type { Fleet } from "../fleet.ts";
import type { KeyShelf } from "../key-shelf.ts";
import type { Journal } from "./journal.ts";

/**
 * A box that was set back to an old backup shows shards that it swore to have destroyed (protocol.md §7). Its
 * word is worth nothing any more: quarantine, and its shards are of a past epoch.
 */
export class Backups {
  readonly #fleet: Fleet;
  readonly #keys: KeyShelf;
  readonly #journal: Journal;
  /** A beat that was on its way while the box destroyed says the same once; twice, and it is so. */
  readonly #doubted = new Set<string>();

  constructor(fleet: Fleet, keys: KeyShelf, journal: Journal) {
    this.#fleet = fleet;
    this.#keys = keys;
    this.#journal = journal;
  }

  look(box: string, holdings: readonly Holding[]): void {
    if (!holdings.some((holding) => this.#isRisen(box, holding))) {
      this.#doubted.delete(box);
      return;
    }
    if (this.#doubted.has(box)) void this.#fleet.quarantine(box, "OLD_BACKUP");
    this.#doubted.add(box);
  }

  #isRisen(box: string, { key, epoch, record }: Holding): boolean {
    if (this.#journal.sworeDestroyed(box, record)) return true;
    const newest = this.#keys.get(key)?.record.epoch ?? 0;
    // Everybody has destroyed that epoch so long ago that its certificate is not kept any more.
    return epoch < newest && !this.#journal.isReplaced(record);
  }
}

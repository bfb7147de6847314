import { z } from "zod";
import { id } from "../protocol/primitives.ts";
import { ShardkeepError } from "../runtime/errors.ts";
import { entriesJson, putJson } from "../store/json.ts";
import type { Store } from "../store/store.ts";

const pause = z.strictObject({ box: id, forMs: z.int() });

export class PauseError extends ShardkeepError<"UNKNOWN_BOX" | "PAUSE_TOO_LONG"> {}

/**
 * Announced maintenances at rest. A restart must not make a box lost that may be silent; but no clock of ours runs on
 * over a restart, so each begins anew then, and is as bounded as before.
 */
export class Maintenances {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  all(): { readonly box: string; readonly forMs: number }[] {
    return entriesJson(this.#store, "pause/", pause).map(([, one]) => one);
  }

  begin(box: string, forMs: number): Promise<void> {
    return this.#store.commit([putJson(`pause/${box}`, { box, forMs })]);
  }

  end(box: string): Promise<void> {
    return this.#store.commit([{ del: `pause/${box}` }]);
  }
}

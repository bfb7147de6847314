import { boxRequests } from "../protocol/messages.ts";
import { verifyStatement } from "../protocol/statement.ts";
import { tamperEvent } from "../protocol/tamper.ts";
import { stands } from "../rules/conviction.ts";
import type { Fleet } from "./fleet.ts";
import type { CoordinatorParts } from "./parts.ts";

const reason = "TAMPERED";

/** Takes note of boxes that say of themselves that their case was opened (protocol.md §8), and lets them know. */
export class Tampers {
  readonly #parts: CoordinatorParts;
  readonly #fleet: Pick<Fleet, "quarantine">;
  /** By box the opening that was held once: it is not tried again when a box that is out comes back. */
  readonly #held = new Map<string, number>();

  constructor(parts: CoordinatorParts, fleet: Pick<Fleet, "quarantine">) {
    this.#parts = parts;
    this.#fleet = fleet;
  }

  /** An event of `box` that is fresh by our nonce. */
  async heard(box: string, data: unknown): Promise<void> {
    const { config, site, log, exchange } = this.#parts;
    const event = tamperEvent.safeParse(data);
    if (!event.success) return;
    const { tampered, acknowledged } = event.data;
    const key = site.keyOf(box);
    if (key === undefined || tampered.by !== box || !verifyStatement(tampered, config.site, key)) {
      log.warn("tamper event forged", { box });
      return;
    }
    const since = site.horizon;
    // People have readmitted it since we noted this opening, and it has not heard of that yet.
    if (acknowledged !== null && !stands({ box, reason, since: acknowledged }, site.current.body)) return;
    const { counter } = tampered.body;
    if (this.#held.get(box) !== counter && !await this.#fleet.quarantine(box, reason)) this.#held.set(box, counter);
    if (acknowledged !== null) return;
    await exchange.request(boxRequests, "quarantine", box, { box, reason, since, counter }).catch((error: unknown) => { log.warn("quarantine not told", { box, error: String(error) }); });
  }
}

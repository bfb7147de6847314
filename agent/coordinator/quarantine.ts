import { z } from "zod";
import { boxRequests } from "../protocol/messages.ts";
import { counter, id } from "../protocol/primitives.ts";
import { mayConvict, stands, type Conviction, type Quarantine } from "../rules/conviction.ts";
import { entriesJson, putJson } from "../store/json.ts";
import type { CoordinatorParts } from "./parts.ts";

const quarantine = z.strictObject({ box: id, reason: z.string(), since: counter.default(1) });

/** Who is out for a proven failure (protocol.md §8): durable here, and told to every other box. */
export class Quarantines {
  readonly #parts: CoordinatorParts;
  readonly #out = new Map<string, Quarantine>();
  readonly #convictions: Conviction[] = [];
  /** `<quarantined> <since> <box>`: told, or being told, in this life. */
  readonly #told = new Set<string>();

  constructor(parts: CoordinatorParts) {
    this.#parts = parts;
    for (const [, entry] of entriesJson(parts.store, "quarantine/", quarantine)) this.#out.set(entry.box, entry);
  }

  has(box: string): boolean {
    const known = this.#out.get(box);
    return known !== undefined && stands(known, this.#parts.site.current.body);
  }

  /** True if the box is out from this instant; false if that is held: what was proven may be our own fault, or everybody's. */
  convict(box: string, reason: string): boolean {
    const { clock, log, site } = this.#parts;
    const next = { at: clock.now(), tampered: reason === "TAMPERED" };
    // However long ago: those that are still out for it count, also after a restart.
    const out = [...this.#out.values()].filter((known) => known.reason === "TAMPERED" && this.has(known.box)).map(() => next);
    if (!mayConvict(next.tampered ? out : this.#convictions, next, site.current.body.boxes.length)) {
      if (next.tampered) log.error("majority tampered: held, no quarantine", { box });
      else log.error("second failing box: held, no quarantine", { box, reason });
      return false;
    }
    this.#convictions.push(next);
    this.enter(box, reason);
    return true;
  }

  /** The box is out from this instant. */
  enter(box: string, reason: string): void {
    this.#out.set(box, { box, reason, since: this.#parts.site.horizon });
  }

  /** Should we die before it is durable, the next challenge finds it again. */
  async keep(box: string): Promise<void> {
    const known = this.#out.get(box);
    await this.#parts.store.commit([putJson(`quarantine/${box}`, known)]);
    this.#parts.log.warn("quarantine", { box, reason: known?.reason });
  }

  /** Tells `box` of every quarantine that it has not taken in our life: who was away hears it with its next beat. */
  tell(box: string): void {
    const { exchange, log } = this.#parts;
    for (const [out, { reason, since }] of this.#out) {
      const told = `${out} ${since} ${box}`;
      // Of one that has left the record nobody needs to be told.
      if (out === box || this.#told.has(told) || this.has(box) || this.#parts.site.kindOf(out) !== "box") continue;
      this.#told.add(told);
      exchange.request(boxRequests, "quarantine", box, { box: out, reason, since }).catch((error: unknown) => {
        this.#told.delete(told);
        log.warn("quarantine not told", { box, error: String(error) });
      });
    }
  }
}

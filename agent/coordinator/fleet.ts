import { z } from "zod";
import { boxHeartbeat, type BoxHeartbeat, type Holding } from "../protocol/heartbeat.ts";
import { boxRequests } from "../protocol/messages.ts";
import { id } from "../protocol/primitives.ts";
import { isLive, livenessOf, type Liveness } from "../rules/liveness.ts";
import { entriesJson, putJson } from "../store/json.ts";
import type { CoordinatorParts } from "./parts.ts";

const quarantine = z.strictObject({ box: id, reason: z.string() });

interface Seen {
  heardAt: number;
  boot: string;
  counter: number;
  beat: BoxHeartbeat;
  holdings: readonly Holding[];
}

/** A second box failing within this time is more likely our own HSM or network (protocol.md §3): hold. */
const convictionWindowMs = 10 * 60_000;

/** What the coordinator knows of its boxes: heard when, with which nonce, holding what, in quarantine or not. */
export class Fleet {
  readonly #parts: CoordinatorParts;
  readonly #seen = new Map<string, Seen>();
  readonly #quarantined = new Map<string, string>();
  /** `<quarantined> <box>`: told, or being told, in this life. */
  readonly #told = new Set<string>();
  #convictedAt: number | undefined;
  #onHeard: (box: string, holdings: readonly Holding[]) => void = () => undefined;

  constructor(parts: CoordinatorParts) {
    this.#parts = parts;
    for (const [, entry] of entriesJson(parts.store, "quarantine/", quarantine)) this.#quarantined.set(entry.box, entry.reason);
  }

  onHeard(handler: (box: string, holdings: readonly Holding[]) => void): void {
    this.#onHeard = handler;
  }

  /** A heartbeat that is fresh by our nonce; older beats of the same boot are dropped. */
  heard(box: string, boot: string, data: unknown): void {
    const parsed = boxHeartbeat.safeParse(data);
    if (!parsed.success) {
      this.#parts.log.warn("heartbeat malformed", { box });
      return;
    }
    const beat = parsed.data;
    const known = this.#seen.get(box);
    if (known?.boot === boot && beat.counter <= known.counter) return;
    if (known?.boot !== boot) this.#parts.log.info("box heard", { box });
    const holdings = beat.holdings ?? (known?.boot === boot ? known.holdings : []);
    this.#seen.set(box, { heardAt: this.#parts.clock.now(), boot, counter: beat.counter, beat, holdings });
    if (beat.verified?.ok === false) this.#parts.log.error("shard cannot be opened", { box, key: beat.verified.key });
    this.#bringUpToDate(box, beat);
    this.#onHeard(box, holdings);
  }

  liveness(box: string): Liveness {
    return livenessOf(this.#seen.get(box)?.heardAt, this.#parts.clock.now(), this.#quarantined.has(box), { suspectMs: this.#parts.config.suspectMs });
  }

  isLive(box: string): boolean {
    return isLive(this.liveness(box));
  }

  live(): string[] {
    return this.#parts.site.current.body.boxes.map((box) => box.id).filter((box) => this.isLive(box));
  }

  nonceOf(box: string): string | undefined {
    return this.#seen.get(box)?.beat.nonce;
  }

  beatOf(box: string): BoxHeartbeat | undefined {
    return this.#seen.get(box)?.beat;
  }

  holdingsOf(box: string): readonly Holding[] {
    return this.#seen.get(box)?.holdings ?? [];
  }

  isQuarantined(box: string): boolean {
    return this.#quarantined.has(box);
  }

  /**
   * A proven failure: the box is out at once, here and at every other box. A second one within the window
   * is held and alarmed, never convicted: one sick coordinator must not convict the site.
   */
  async quarantine(box: string, reason: string): Promise<boolean> {
    const { clock, log, store } = this.#parts;
    if (this.#quarantined.has(box)) return true;
    const now = clock.now();
    if (this.#convictedAt !== undefined && now - this.#convictedAt < convictionWindowMs) {
      log.error("second failing box: held, no quarantine", { box, reason });
      return false;
    }
    this.#convictedAt = now;
    // Out from this instant; should we die before it is durable, the next challenge finds it again.
    this.#quarantined.set(box, reason);
    await store.commit([putJson(`quarantine/${box}`, { box, reason })]);
    log.warn("quarantine", { box, reason });
    for (const other of this.live()) this.#tellQuarantines(other);
    return true;
  }

  /** Tells `box` of every quarantine that it has not taken in our life: who was away hears it with its next beat. */
  #tellQuarantines(box: string): void {
    const { exchange, log } = this.#parts;
    for (const [out, reason] of this.#quarantined) {
      const told = `${out} ${box}`;
      if (this.#told.has(told) || this.#quarantined.has(box)) continue;
      this.#told.add(told);
      exchange.request(boxRequests, "quarantine", box, { box: out, reason }).catch((error: unknown) => {
        this.#told.delete(told);
        log.warn("quarantine not told", { box, error: String(error) });
      });
    }
  }

  /** A box with an older site record, or one that missed a quarantine, is told now. */
  #bringUpToDate(box: string, beat: BoxHeartbeat): void {
    const { exchange, site, log } = this.#parts;
    this.#tellQuarantines(box);
    const has = beat.siteRecord?.version ?? 0;
    if (has >= site.ref.version) return;
    const chain = site.after(has);
    exchange.request(boxRequests, "record", box, { chain }).catch((error: unknown) => { log.warn("site record not taken", { box, error: String(error) }); });
  }

  /** Offers the newest record to every live box at once; a box that misses it hears it after its next beat. */
  async announceRecord(): Promise<void> {
    await Promise.all(this.live().map(async (box) => {
      const beat = this.beatOf(box);
      const chain = this.#parts.site.after(beat?.siteRecord?.version ?? 0);
      try {
        if (chain.length > 0) await this.#parts.exchange.request(boxRequests, "record", box, { chain });
      } catch (error) {
        this.#parts.log.warn("site record not taken", { box, error: String(error) });
      }
    }));
  }
}

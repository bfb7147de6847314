import { boxHeartbeat, events, inventoryHash, type BoxHeartbeat, type Holding, type Liveness } from "../protocol/heartbeat.ts";
import { boxRequests } from "../protocol/messages.ts";
import { refOf } from "../protocol/site-record.ts";
import type { CoordinatorParts } from "./parts.ts";
import { Quarantines } from "./quarantine.ts";
import { Watch } from "./watch.ts";

interface Seen {
  heardAt: number;
  boot: string;
  counter: number;
  beat: BoxHeartbeat;
  holdings: readonly Holding[];
}

const isAble = ({ hsm, verified }: BoxHeartbeat): boolean => hsm.ok && verified?.ok !== false;

/** What the coordinator knows of its boxes: what each said last, what is thought of it, who is out. */
export class Fleet {
  readonly #parts: CoordinatorParts;
  readonly #seen = new Map<string, Seen>();
  readonly #quarantines: Quarantines;
  readonly #watch: Watch;
  #announced: { readonly version: number; readonly boxes: ReadonlyMap<string, Promise<boolean>> } | undefined;
  readonly #forked = new Set<string>();
  readonly #onHeard: ((box: string, holdings: readonly Holding[]) => void)[] = [];

  constructor(parts: CoordinatorParts) {
    this.#parts = parts;
    this.#quarantines = new Quarantines(parts);
    this.#watch = new Watch(parts, this.#quarantines, (box, reason) => this.quarantine(box, reason));
  }

  /** Silence is judged by our clock from here on. */
  start(): void {
    this.#watch.start();
  }

  stop(): void {
    this.#watch.stop();
  }

  onHeard(handler: (box: string, holdings: readonly Holding[]) => void): void {
    this.#onHeard.push(handler);
  }

  /** Once for each time that a box is lost; never while there is a hold, a maintenance or a quarantine of it. */
  onLost(handler: (box: string) => void): void {
    this.#watch.onLost(handler);
  }

  /** Whenever a box's state or the hold has changed. */
  onChange(handler: () => void): void {
    this.#watch.onChange(handler);
  }

  /** A heartbeat that is fresh by our nonce; older beats of the same boot are dropped. */
  heard(box: string, boot: string, data: unknown): void {
    const { log, config, clock } = this.#parts;
    const parsed = boxHeartbeat.safeParse(data);
    if (!parsed.success) {
      log.warn("heartbeat malformed", { box });
      return;
    }
    const beat = parsed.data;
    const last = this.#seen.get(box);
    const known = last?.boot === boot ? last : undefined;
    if (known !== undefined && beat.counter <= known.counter) return;
    if (known === undefined) log.info("box heard", { box });
    if (beat.holdings !== undefined && inventoryHash(config.site, box, beat.holdings) !== beat.inventory) {
      void this.quarantine(box, "WRONG_INVENTORY");
      return;
    }
    // A list that was lost on its way must not be taken for the one before it.
    const holdings = beat.holdings ?? (known?.beat.inventory === beat.inventory ? known.holdings : []);
    this.#seen.set(box, { heardAt: clock.now(), boot, counter: beat.counter, beat, holdings });
    if (!isAble(beat) && (known === undefined || isAble(known.beat))) this.#alarm(box, beat);
    this.#watch.step(box, { type: "beat", able: isAble(beat) });
    this.#bringUpToDate(box, beat);
    for (const handler of this.#onHeard) handler(box, holdings);
  }

  #alarm(box: string, { hsm, verified }: BoxHeartbeat): void {
    if (hsm.ok) this.#parts.log.error("shard cannot be opened", { box, key: verified?.key });
    else this.#parts.log.error("HSM not in order", { box, detail: hsm.detail });
  }

  /** The broker's will, or the box's own farewell; one of an earlier life of the box says nothing. */
  hinted(box: string, boot: string, data: unknown): void {
    const said = events.state.safeParse(data);
    if (said.data !== undefined && said.data.state !== "ready" && this.#seen.get(box)?.boot === boot) this.#watch.step(box, { type: "will" });
  }

  tick(): void {
    this.#watch.tick();
  }

  /** Too few boxes are there at once: nothing irreversible is begun. */
  get hold(): boolean {
    return this.#watch.hold;
  }

  liveness(box: string): Liveness {
    return this.#watch.phase(box);
  }

  /** How long the box has been in its state, ms. */
  sinceMs(box: string): number {
    return this.#watch.sinceMs(box);
  }

  /** Ready, suspect or probed: it may still be asked. */
  isLive(box: string): boolean {
    return this.#watch.isLive(box);
  }

  /** Heard lately, whatever is thought of it: a certificate is shown also to one that is out. */
  isReachable(box: string): boolean {
    const seen = this.#seen.get(box);
    return seen !== undefined && this.#parts.clock.now() - seen.heardAt < this.#parts.config.lostMs;
  }

  /** Ready: it may become a holder. */
  isSteady(box: string): boolean {
    return this.liveness(box) === "ready";
  }

  isPaused(box: string): boolean {
    return this.liveness(box) === "maintenance";
  }

  isQuarantined(box: string): boolean {
    return this.#quarantines.has(box);
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

  /** An announced maintenance of at most `mostPauseMs`, durable. Rejects with UNKNOWN_BOX, PAUSE_TOO_LONG, QUARANTINED. */
  pause(box: string, forMs: number): Promise<Liveness> {
    return this.#watch.pause(box, forMs);
  }

  /** Ends a maintenance before its time; without one nothing happens. Rejects with UNKNOWN_BOX. */
  resume(box: string): Promise<Liveness> {
    return this.#watch.resume(box);
  }

  /**
   * A proven failure: the box is out at once, here and at every other box. False if that is held, because it may be
   * our own fault or everybody's (rules/conviction.ts).
   */
  async quarantine(box: string, reason: string): Promise<boolean> {
    if (this.isQuarantined(box)) return true;
    if (!this.#quarantines.convict(box, reason)) return false;
    await this.#shutOut(box);
    return true;
  }

  /** By an administrator's order: it says nothing of anybody's health, so it is never held. */
  async retire(box: string): Promise<void> {
    if (this.isQuarantined(box)) return;
    this.#quarantines.enter(box, "RETIRING");
    await this.#shutOut(box);
  }

  async #shutOut(box: string): Promise<void> {
    this.#watch.step(box, { type: "quarantine" });
    await this.#quarantines.keep(box);
    for (const other of this.live()) this.#quarantines.tell(other);
  }

  /** A box with an older site record, or one that missed a quarantine, is told now. */
  #bringUpToDate(box: string, beat: BoxHeartbeat): void {
    const { ref } = this.#parts.site;
    this.#quarantines.tell(box);
    const known = beat.siteRecord?.version ?? 0;
    if (known < ref.version || (known === ref.version && this.#parts.site.awaited !== undefined)) void this.offerRecord(box);
    // It has taken another successor than ours: somebody else has the authority's key, or we were set back.
    const isForked = beat.siteRecord?.version === ref.version && beat.siteRecord.hash !== ref.hash;
    if (isForked && !this.#forked.has(box)) this.#parts.log.error("site record forked", { box, version: ref.version });
    if (isForked) this.#forked.add(box);
    else this.#forked.delete(box);
  }

  /**
   * Offers the newest record to every live box at once, and says of each whether it has taken it. Asked again, nobody is
   * offered it twice. A box that misses it hears it after its next beat.
   */
  announceRecord(): ReadonlyMap<string, Promise<boolean>> {
    const { version } = this.#parts.site.ref;
    if (this.#announced?.version !== version) {
      for (const { id } of this.#parts.site.current.body.boxes) if (!this.isQuarantined(id)) this.#watch.step(id, { type: "readmitted" });
      this.#announced = { version, boxes: new Map(this.live().map((box) => [box, this.offerRecord(box)])) };
    }
    return this.#announced.boxes;
  }

  /**
   * Offers `box` what it has not heard of; false unless it then works with our version. What it is to wait for it is told
   * once: a box that was away has its own delay before it, while the others may be versions ahead.
   */
  async offerRecord(box: string): Promise<boolean> {
    const { exchange, site, log } = this.#parts;
    const beat = this.beatOf(box);
    const chain = site.offer(beat?.siteRecord?.version ?? 0);
    const [next] = chain;
    const { version } = site.ref;
    if (next !== undefined && beat?.recovery?.hash === refOf(next).hash) return false;
    try {
      return next === undefined || (await exchange.request(boxRequests, "record", box, { chain })).version >= version;
    } catch (error) {
      log.warn("site record not taken", { box, error: String(error) });
      return false;
    }
  }
}

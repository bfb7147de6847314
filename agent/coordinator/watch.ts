import type { Liveness } from "../protocol/heartbeat.ts";
import { isHeld, isLive, openLiveness, stepLiveness, type LivenessEvent, type LivenessState } from "../rules/liveness.ts";
import { Refusal } from "../rules/refusal.ts";
import { Maintenances, PauseError } from "./maintenance.ts";
import type { CoordinatorParts } from "./parts.ts";
import { probe } from "./prober.ts";
import type { Quarantines } from "./quarantine.ts";

/** How often silence is looked at: thresholds are seconds. */
const tickMs = 500;

/** What the coordinator thinks of each box: owns the clock and the effects of the table in rules/liveness.ts. */
export class Watch {
  readonly #parts: CoordinatorParts;
  readonly #maintenances: Maintenances;
  readonly #convict: (box: string, reason: string) => Promise<boolean>;
  readonly #quarantines: Quarantines;
  readonly #states = new Map<string, LivenessState>();
  readonly #probing = new Set<string>();
  readonly #onLost: ((box: string) => void)[] = [];
  readonly #onChange: (() => void)[] = [];
  #hold = false;
  #cancel: () => void = () => undefined;

  /** `convict` is called for a box that answers its probe wrongly. */
  constructor(parts: CoordinatorParts, quarantines: Quarantines, convict: (box: string, reason: string) => Promise<boolean>) {
    this.#parts = parts;
    this.#quarantines = quarantines;
    this.#convict = convict;
    this.#maintenances = new Maintenances(parts.store);
    const now = parts.clock.now();
    for (const { box, forMs } of this.#maintenances.all()) this.step(box, { type: "pause", until: now + forMs });
  }

  start(): void {
    this.#cancel = this.#parts.clock.after(tickMs, () => { this.start(); this.tick(); });
  }

  stop(): void {
    this.#cancel();
  }

  onLost(handler: (box: string) => void): void {
    this.#onLost.push(handler);
  }

  onChange(handler: () => void): void {
    this.#onChange.push(handler);
  }

  get hold(): boolean {
    return this.#hold;
  }

  phase(box: string): Liveness {
    return this.#state(box).phase;
  }

  sinceMs(box: string): number {
    // First the state: that of a box never heard begins when it is looked at, and must not lie ahead of the clock.
    const { since } = this.#state(box);
    return this.#parts.clock.now() - since;
  }

  isLive(box: string): boolean {
    return isLive(this.#state(box), this.#parts.clock.now(), this.#parts.config);
  }

  /** Judges every box's silence. */
  tick(): void {
    for (const box of this.#boxes()) this.step(box, { type: "tick" });
  }

  step(box: string, event: LivenessEvent): void {
    const { clock, config, log } = this.#parts;
    const before = this.#state(box);
    const { state, effects } = stepLiveness(before, event, clock.now(), config);
    this.#states.set(box, state);
    const isChanged = state.phase !== before.phase;
    if (isChanged && before.phase === "maintenance" && event.type !== "resume") {
      this.#maintenances.end(box).catch((error: unknown) => { log.warn("pause not ended", { box, error: String(error) }); });
    }
    const holdChanged = this.#judgeHold();
    for (const effect of effects) {
      if (effect.do === "probe") void this.#probe(box);
      else if (effect.do === "alarm") log.error("box flaps", { box, losses: state.losses.length });
      else {
        log.warn("box lost", { box, silentMs: Math.round(clock.now() - state.silentSince) });
        for (const handler of this.#onLost) handler(box);
      }
    }
    if (holdChanged || isChanged) for (const handler of this.#onChange) handler();
  }

  async pause(box: string, forMs: number): Promise<Liveness> {
    const { clock, config, log } = this.#parts;
    this.#requireBox(box);
    if (forMs > config.mostPauseMs) throw new PauseError("PAUSE_TOO_LONG", `${forMs} ms is longer than a maintenance may be, ${config.mostPauseMs} ms`, { remedy: "announce a shorter one, and again before it is over" });
    if (this.#quarantines.has(box)) throw new Refusal("QUARANTINED", `${box} is in quarantine: a maintenance would change nothing`);
    await this.#maintenances.begin(box, forMs);
    this.step(box, { type: "pause", until: clock.now() + forMs });
    log.info("box paused", { box, forMs });
    return this.phase(box);
  }

  async resume(box: string): Promise<Liveness> {
    this.#requireBox(box);
    await this.#maintenances.end(box);
    this.step(box, { type: "resume" });
    return this.phase(box);
  }

  #requireBox(box: string): void {
    if (!this.#boxes().includes(box)) throw new PauseError("UNKNOWN_BOX", `${box} is no box of this site`, { remedy: "`shardkeep status` lists the boxes" });
  }

  #boxes(): string[] {
    return this.#parts.site.current.body.boxes.map((box) => box.id);
  }

  #state(box: string): LivenessState {
    return this.#states.get(box) ?? openLiveness(this.#parts.clock.now(), this.#quarantines.has(box));
  }

  /** True if the hold began or ended. */
  #judgeHold(): boolean {
    const { log, clock, config } = this.#parts;
    const phases = this.#boxes().map((box) => this.phase(box));
    const hold = isHeld(phases, this.#hold);
    if (hold === this.#hold) return false;
    this.#hold = hold;
    if (hold) log.error("our network: held", { ready: phases.filter((phase) => phase === "ready").length, boxes: phases.length });
    else {
      log.info("our network: a majority is back");
      // Else the first to come back would have the others lost that are just coming.
      for (const box of this.#boxes()) this.#states.set(box, stepLiveness(this.#state(box), { type: "hold-over" }, clock.now(), config).state);
    }
    return true;
  }

  async #probe(box: string): Promise<void> {
    if (this.#probing.has(box)) return;
    this.#probing.add(box);
    const outcome = await probe(this.#parts, box);
    this.#probing.delete(box);
    // An unsealed site may be giving this box a new challenge secret: no verdict yet.
    if (outcome === "wrong" && this.#parts.site.current.body.sealed) await this.#convict(box, "HSM_COMPROMISED");
    if (outcome === "passed") {
      this.step(box, { type: "probe-passed" });
      return;
    }
    // Before one is lost the others' silence is judged too: cut off together, all are suspect by now. Only the clock
    // makes another probe: one that fails at once would bring about the next without end.
    for (const other of this.#boxes()) if (this.phase(other) !== "suspect") this.step(other, { type: "tick" });
    this.step(box, { type: "probe-failed", hold: this.#hold || outcome === "undecided" });
  }
}

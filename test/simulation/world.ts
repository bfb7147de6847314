import type { Box } from "../../agent/box/box.ts";
import type { Coordinator } from "../../agent/coordinator/coordinator.ts";
import type { Exchange } from "../../agent/mqtt/exchange.ts";
import { topic } from "../../agent/protocol/topics.ts";
import { MemoryHub, type Delivery } from "../support/memory-transport.ts";
import { Machine, type Gate } from "./party.ts";
import { Prng } from "./prng.ts";
import { type Life, Timeline } from "./timeline.ts";
import type { Weather } from "./weather.ts";

/** A rule of protocol.md that was broken, and when. */
export class Violation extends Error {}

export interface Running {
  readonly life: Life;
  readonly transport: { setUp(up: boolean): void; close(): Promise<void> };
  readonly logic: Box | Coordinator | null;
  readonly exchange: Exchange;
  /** What the broker says for it when it dies. */
  readonly will?: () => void;
}

export const coordinatorId = "coordinator";

/**
 * The scheduler: every message, effect and crash of a site passes here, and one seeded source decides what becomes
 * of it. Bytes are never looked at for a decision, so a seed replays its schedule.
 */
export class World {
  readonly weather: Weather;
  readonly timeline = new Timeline();
  readonly hub = new MemoryHub();
  readonly machines = new Map<string, Machine>();
  readonly running = new Map<string, Running>();
  readonly trace: string[] = [];
  readonly random: Prng;
  /** Faults happen; ends with the storm. */
  stormy = false;
  violation: Violation | undefined;
  /** Starts a machine again, set by the site. */
  boot: (name: string) => Promise<void> = () => Promise.resolve();
  onMessage: (delivery: Delivery) => void = () => undefined;
  onEffect: (machine: Machine, effect: string) => Promise<void> = () => Promise.resolve();
  readonly #starting = new Set<string>();
  readonly #cut = new Set<string>();
  #gone = false;

  constructor(seed: number, weather: Weather) {
    this.weather = weather;
    this.random = new Prng(seed, 2);
    this.hub.onDelivery = (delivery) => { this.#deliver(delivery); };
  }

  note(what: string): void {
    this.trace.push(`${this.timeline.now} ${what}`);
  }

  /** The first broken rule ends the run. */
  violate(rule: string): void {
    if (this.violation !== undefined) return;
    this.note(`VIOLATION ${rule}`);
    this.violation = new Violation(`at ${this.timeline.now} ms: ${rule}`);
  }

  machine(name: string): Machine {
    let machine = this.machines.get(name);
    if (machine === undefined) this.machines.set(name, machine = new Machine(name));
    return machine;
  }

  isUp(name: string): boolean {
    return this.running.get(name)?.life.alive === true;
  }

  isGone(name: string): boolean {
    return this.#gone && name === this.weather.gone;
  }

  readonly gate: Gate = async (life, machine, when, effect) => {
    if (when === "after") await this.onEffect(machine, effect);
    if (!this.stormy) return;
    const { random, weather } = this;
    const isCoordinator = machine.name === coordinatorId;
    if (random.chance(isCoordinator ? weather.coordinatorCrash : weather.boxCrash)) {
      this.note(`crash ${machine.name} ${when} ${effect}`);
      this.crash(machine.name, life);
    } else if (when === "before" && random.chance(weather.slow)) {
      const ms = random.between(1, 400);
      await new Promise<void>((resolve) => { this.timeline.after(ms, resolve); });
    }
  };

  /** Ends a life; what the machine keeps stays. It starts again by itself unless it is gone. */
  crash(name: string, life = this.running.get(name)?.life): void {
    const running = this.running.get(name);
    if (life === undefined || !life.alive) return;
    life.alive = false;
    if (running?.life === life) {
      running.will?.();
      void running.transport.close();
    }
    const ms = this.random.chance(0.7) ? this.random.between(50, 1500) : this.random.between(4000, 15_000);
    this.timeline.after(ms, () => { this.start(name); });
  }

  start(name: string): void {
    // One that was begun a moment ago is not up yet, and no box lives twice.
    if (this.isUp(name) || this.isGone(name) || this.#starting.has(name)) return;
    this.note(`start ${name}`);
    this.#starting.add(name);
    void this.boot(name).finally(() => { this.#starting.delete(name); });
  }

  /** Faults that come by the clock: outages of boxes, partitions, the one that goes for good. */
  plan(): void {
    const { random, weather, timeline } = this;
    const sometime = (): number => random.int(weather.stormMs);
    if (weather.gone !== null) timeline.at(sometime(), () => { this.#leave(weather.gone ?? ""); });
    for (let i = 0; i < weather.outages; i++) {
      const from = sometime();
      const boxes = random.some(weather.boxes, 0.3);
      const silent = random.chance(0.5);
      timeline.at(from, () => { this.#partition(boxes, silent, true); });
      timeline.at(from + random.between(500, 12_000), () => { this.#partition(boxes, silent, false); });
    }
  }

  /** No more faults; whoever is down comes up. */
  calm(): void {
    this.stormy = false;
    this.#cut.clear();
    for (const name of this.machines.keys()) {
      this.running.get(name)?.transport.setUp(this.isUp(name));
      this.start(name);
    }
    this.note("calm");
  }

  #leave(box: string): void {
    this.note(`gone ${box}`);
    this.#gone = true;
    const running = this.running.get(box);
    if (running === undefined) return;
    running.life.alive = false;
    void running.transport.close();
  }

  #partition(boxes: readonly string[], silent: boolean, begins: boolean): void {
    if (begins && !this.stormy) return;
    this.note(`partition ${begins ? "begins" : "ends"} ${boxes.join(" ")}`);
    for (const box of boxes) {
      if (!silent) { if (this.isUp(box)) this.running.get(box)?.transport.setUp(!begins); }
      else if (begins) this.#cut.add(box);
      else this.#cut.delete(box);
    }
  }

  #deliver(delivery: Delivery): void {
    const { random, weather, timeline } = this;
    this.onMessage(delivery);
    const arrive = (ms: number): void => { timeline.after(ms, () => { if (!this.#isCut(delivery)) delivery.deliver(); }); };
    if (!this.stormy) {
      arrive(1);
      return;
    }
    if (random.chance(weather.loss)) {
      this.note(`lost ${delivery.from} > ${delivery.to}`);
      return;
    }
    const late = (): number => (random.chance(weather.late) ? random.int(weather.lateMs) : random.between(1, 5));
    arrive(late());
    if (random.chance(weather.twice)) arrive(late());
  }

  #isCut({ from, to }: Delivery): boolean {
    return this.#cut.has(from) || this.#cut.has(to);
  }
}

export const stateTopic = (box: string): string => topic({ kind: "box", box, direction: "up", what: "state" });

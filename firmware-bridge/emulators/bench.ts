import { systemClock } from "../../agent/runtime/clock.ts";
import { systemRandom } from "../../agent/runtime/random.ts";
import type { Reply, Request, SensorState } from "./control-messages.ts";
import { EmulatorError } from "./errors.ts";
import { Pty } from "./pty.ts";
import { EmulatedSensor } from "./sensor/device.ts";
import { freshFlash, loadFlash, saveFlash } from "./sensor/persist.ts";
import type { Profile } from "./sensor/profiles.ts";
import type { Flash } from "./sensor/state.ts";

export interface BenchOptions {
  readonly profile: Profile;
  /** A symlink to the pty. */
  readonly link: string;
  /** Where the module's flash is kept; without it, it is forgotten at the end. */
  readonly state?: string;
  readonly speed: number;
}
const defaultQuality = 90;

/** A module with its adapter on a host's line, and what a person can do to them. */
export class Bench {
  readonly #options: BenchOptions;
  readonly #own: EmulatedSensor;
  #module: EmulatedSensor;
  #pty: Pty | null = null;

  /** @throws STATE_DAMAGED, PTY_FAILED */
  constructor(options: BenchOptions) {
    this.#options = options;
    const { state, profile } = options;
    const flash = state === undefined ? freshFlash(profile, systemRandom) : loadFlash(state, profile, systemRandom);
    this.#own = this.#makeModule(flash, (changed) => { if (state !== undefined) saveFlash(state, profile, changed); });
    this.#module = this.#own;
    this.replug();
  }

  /** `/dev/pts/N`, or null while unplugged. */
  get pty(): string | null {
    return this.#pty?.path ?? null;
  }

  /** The adapter feeds the module, so that it starts too. */
  replug(): void {
    if (this.#pty !== null) return;
    this.#pty = new Pty((bytes) => { this.#module.receive(bytes); }, this.#options.link);
    this.#module.powerOn();
  }

  unplug(): void {
    this.#module.powerOff();
    this.#pty?.unplug();
    this.#pty = null;
  }

  /** @throws CONTROL_BAD_REQUEST, SLOT_EMPTY */
  handle(request: Request): Omit<Extract<Reply, { ok: true }>, "ok"> {
    const { hand } = this.#module;
    switch (request.cmd) {
      case "touch": hand.touch({ name: request.finger, quality: request.quality ?? defaultQuality }, request.forMs); return {};
      case "press": hand.press({ name: request.finger, quality: request.quality ?? defaultQuality }, request.forMs); return {};
      case "lift": hand.lift(); return {};
      case "state": return { state: this.#tell() };
      case "unplug": this.unplug(); return {};
      case "replug": this.replug(); return this.#pty === null ? {} : { pty: this.#pty.path };
      case "power": this.#power(request.to); return {};
      case "swap": this.#swap(); return {};
      case "fault": this.#module.suffer(request.fault); return {};
      case "clear-faults": this.#module.faults.clear(); return {};
    }
  }

  #power(to: "off" | "on" | "cycle"): void {
    if (this.#pty === null) throw new EmulatorError("CONTROL_BAD_REQUEST", "the sensor has no power while it is unplugged", { remedy: "replug it" });
    if (to !== "on") this.#module.powerOff();
    if (to !== "off") this.#module.powerOn();
  }

  /** The foreign module is not saved: the state file belongs to the own one, which comes back with the next swap. */
  #swap(): void {
    this.#module.powerOff();
    this.#module = this.#module === this.#own ? this.#makeModule(freshFlash(this.#options.profile, systemRandom), () => undefined) : this.#own;
    if (this.#pty !== null) this.#module.powerOn();
  }

  #makeModule(flash: Flash, save: (flash: Flash) => void): EmulatedSensor {
    const { profile, speed } = this.#options;
    return new EmulatedSensor({ profile, flash, clock: systemClock, random: systemRandom, speed, save, send: async (bytes) => { await this.#pty?.write(bytes); } });
  }

  #tell(): SensorState {
    const { state: { flash, ram }, hand, heard, powered, faults } = this.#module;
    return {
      profile: this.#options.profile.name, serial: flash.serial, plugged: this.#pty !== null, powered, swapped: this.#module !== this.#own,
      finger: hand.finger?.name ?? null, templates: flash.library.size, verified: ram.verified, light: ram.light,
      commands: Object.fromEntries([...heard].map(([opcode, times]) => [opcode.toString(16).padStart(2, "0"), times])), faults: faults.names,
    };
  }
}

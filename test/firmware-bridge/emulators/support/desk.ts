import { setImmediate } from "node:timers/promises";
import type { Clock } from "../../../../agent/runtime/clock.ts";
import type { Random } from "../../../../agent/runtime/random.ts";
import { EmulatedSensor } from "../../../../firmware-bridge/emulators/sensor/device.ts";
import { profileNamed } from "../../../../firmware-bridge/emulators/sensor/profiles.ts";
import { factoryFlash, type Flash } from "../../../../firmware-bridge/emulators/sensor/state.ts";

/** A clock that stands still unless it is told to go on. */
export class SteppedClock implements Clock {
  #now = 0;
  #timers: { readonly at: number; readonly task: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  wall(): string {
    return "1970-01-01T00:00:00.000Z";
  }

  after(ms: number, task: () => void): () => void {
    const timer = { at: this.#now + ms, task };
    this.#timers.push(timer);
    return () => { this.#timers = this.#timers.filter((other) => other !== timer); };
  }

  async pass(ms: number): Promise<void> {
    const until = this.#now + ms;
    for (;;) {
      await setImmediate();
      const next = this.#timers.reduce((first, timer) => first === null || timer.at < first.at ? timer : first, this.#timers[0] ?? null);
      if (next === null || next.at > until) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#now = next.at;
      next.task();
    }
    this.#now = until;
  }
}

/** Never the same twice, always the same in a run. */
function countingRandom(): Random {
  let count = 0;
  return { bytes: (length) => new Uint8Array(length).fill(++count) };
}

export const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex.replaceAll(" ", ""), "hex"));
export const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex").toUpperCase().replaceAll(/(..)(?=.)/g, "$1 ");
/** A command to the default address, its checksum worked out here. */
export function command(...content: readonly number[]): Uint8Array {
  const sum = content.reduce((total, byte) => total + byte, 1 + content.length + 2);
  return Uint8Array.of(0xef, 0x01, 0xff, 0xff, 0xff, 0xff, 0x01, 0, content.length + 2, ...content, sum >> 8, sum & 0xff);
}

/** One module on a desk: its line is a list, its time a number. */
export class Desk {
  readonly clock = new SteppedClock();
  readonly device: EmulatedSensor;
  readonly saved: Flash[] = [];
  /** What the module has sent, and when. */
  sent: { readonly at: number; readonly bytes: Uint8Array }[] = [];

  constructor(profile = "r503", options: { readonly flash?: Partial<Flash>; readonly speed?: number } = {}) {
    const model = profileNamed(profile);
    this.device = new EmulatedSensor({
      profile: model, flash: { ...factoryFlash(model, "00001"), ...options.flash }, clock: this.clock, random: countingRandom(), speed: options.speed ?? 1,
      send: (bytes) => { this.sent.push({ at: this.clock.now(), bytes }); return Promise.resolve(); },
      save: (flash) => { this.saved.push(flash); },
    });
  }

  /** Power, and time until the module is ready; its greeting is dropped. */
  async started(): Promise<this> {
    this.device.powerOn();
    await this.clock.pass(1000);
    this.sent = [];
    return this;
  }

  /** Everything sent since, and forgets it. */
  taken(): Uint8Array {
    const bytes = new Uint8Array(Buffer.concat(this.sent.map((part) => part.bytes)));
    this.sent = [];
    return bytes;
  }

  async ask(bytes: Uint8Array, ms = 2000): Promise<string> {
    this.device.receive(bytes);
    await this.clock.pass(ms);
    return hexOf(this.taken());
  }

  /** The content of the ack. */
  async say(...content: readonly number[]): Promise<number[]> {
    this.device.receive(command(...content));
    await this.clock.pass(2000);
    const reply = this.taken();
    return [...reply.subarray(9, 7 + (reply[8] ?? 0))];
  }

  async enrol(finger: string, slot: number): Promise<void> {
    this.device.hand.touch({ name: finger, quality: 90 });
    for (const buffer of [1, 2]) {
      await this.say(0x01);
      await this.say(0x02, buffer);
    }
    await this.say(0x05);
    await this.say(0x06, 1, slot >> 8, slot & 0xff);
    this.device.hand.lift();
  }
}

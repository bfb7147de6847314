import { sleep, type Clock } from "../../../agent/runtime/clock.ts";
import type { LightState } from "../sensor.ts";
import { auraLed } from "./commands.ts";
import type { Exchange } from "./exchange.ts";

/** §2.7. Only the three colours that every R503 has. */
const control = { breathe: 1, flash: 2, on: 3, off: 4 } as const;
const colour = { red: 1, blue: 2, purple: 3 } as const;

interface Show { readonly control: number; readonly speed: number; readonly colour: number; readonly count: number }

const shows: Readonly<Record<LightState, Show>> = {
  off: { control: control.off, speed: 0, colour: colour.blue, count: 0 },
  ready: { control: control.on, speed: 0, colour: colour.blue, count: 0 },
  waiting: { control: control.breathe, speed: 0x80, colour: colour.blue, count: 0 },
  captured: { control: control.on, speed: 0, colour: colour.purple, count: 0 },
  accepted: { control: control.flash, speed: 20, colour: colour.blue, count: 3 },
  refused: { control: control.flash, speed: 20, colour: colour.red, count: 3 },
  tamper: { control: control.on, speed: 0, colour: colour.red, count: 0 },
};

/** The ring light. A command during a counted animation confuses the module (Q26), so the next one waits for its end. */
export class RingLight {
  readonly #exchange: Exchange;
  readonly #clock: Clock;
  #freeAt = 0;

  constructor(exchange: Exchange, clock: Clock) {
    this.#exchange = exchange;
    this.#clock = clock;
  }

  async show(state: LightState): Promise<void> {
    const { control: mode, speed, colour: shade, count } = shows[state];
    const wait = this.#freeAt - this.#clock.now();
    if (wait > 0) await sleep(this.#clock, wait);
    await this.#exchange.send(auraLed(mode, speed, shade, count));
    this.#freeAt = this.#clock.now() + speed * count * 10;
  }
}

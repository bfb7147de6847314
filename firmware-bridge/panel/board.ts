import "./no-test-mode.ts";
import firmata, { type Firmata } from "firmata-io";
import five, { type Board, type LCD, type Led, type Pin } from "johnny-five";
import type { Clock } from "../../agent/runtime/clock.ts";
import type { Line } from "../serial/line.ts";
import type { Outputs } from "./player.ts";
import type { Colour } from "./states.ts";
import { LineTransport } from "./transport.ts";

/** docs/panel-protocol.md, by Arduino's numbers. */
export const pins = { lid: 2, button: 3, red: 8, buzzer: 9, green: 12, blue: 13 } as const;
/** PCF8574 and PCF8574A, as displays are sold. */
const displayAddresses = [0x27, 0x3f] as const;
export const display = { rows: 2, columns: 16 } as const;
const inputMode = 0;
export const limitMs = {
  /** A boot loader and StandardFirmata's blinking come first: up to 4 s. */
  greeting: 6000,
  again: 1000,
  inputs: 2000,
  display: 250,
} as const;

const mixtures: Readonly<Record<Colour, readonly ("red" | "green" | "blue")[]>> = {
  red: ["red"], green: ["green"], yellow: ["red", "green"], blue: ["blue"], white: ["red", "green", "blue"],
};

/**
 * Waits until something on `line` speaks Firmata; undefined if nothing does. Asks again and again: what a board says
 * before its port is open is lost, and its boot loader hears nothing.
 */
export async function greet(line: Line, clock: Clock): Promise<Firmata | undefined> {
  const transport = new LineTransport(line);
  const io = new firmata.Firmata(transport, { reportVersionTimeout: limitMs.again / 2 });
  // An 'error' without a listener ends the process (platform.md §2).
  io.on("error", () => undefined);
  transport.begin(() => io.buffer.length);
  // Asked once more than needed, its late answer would look like a new start.
  let settled = false;
  io.once("queryfirmware", () => { settled = true; });
  const ask = (): void => {
    if (settled) return;
    io.reportVersion(() => undefined);
    io.queryFirmware(() => undefined);
    clock.after(limitMs.again, ask);
  };
  const ready = new Promise<boolean>((resolve) => { io.once("ready", () => { resolve(true); }); });
  clock.after(limitMs.again, ask);
  const found = await Promise.race([ready, within(clock, limitMs.greeting), line.closed.then(() => false)]);
  settled = true;
  return found ? io : undefined;
}

export function within(clock: Clock, ms: number): Promise<false> {
  return new Promise((resolve) => { clock.after(ms, () => { resolve(false); }); });
}

/** What johnny-five makes of a board: lid, button, light, buzzer, display. */
export class PanelBoard implements Outputs {
  readonly io: Firmata;
  readonly #board: Board;
  readonly #leds: Readonly<Record<"red" | "green" | "blue", Led>>;
  readonly #buzzer: Pin;
  #lcd: LCD | null = null;

  /** @param onInput with the levels; johnny-five repeats both with every report of their port, so the caller compares */
  constructor(io: Firmata, onInput: (input: "open" | "pressed", value: boolean) => void) {
    this.io = io;
    // Board.purge exists in johnny-five's test mode only. What came before is dead, and would be taken for ours.
    five.Board.cache.length = 0;
    five.Board.Pins.normalize.clear();
    const board = new five.Board({ io, repl: false, debug: false, sigint: false });
    board.on("error", () => undefined);
    this.#board = board;
    const led = (pin: number): Led => new five.Led({ pin, board });
    this.#leds = { red: led(pins.red), green: led(pins.green), blue: led(pins.blue) };
    // An active buzzer: five.Piezo would turn its pin by a busy loop, with a message each half period.
    this.#buzzer = new five.Pin({ pin: pins.buzzer, board });
    // Two Switches: a Button that is pressed when its line goes keeps its hold timer for ever, and does not tell how it began.
    const watch = (pin: number, tell: (closed: boolean) => void): void => {
      const contact = new five.Switch({ pin, type: "NO", board });
      contact.on("open", () => { tell(false); });
      contact.on("close", () => { tell(true); });
    };
    watch(pins.lid, (closed) => { onInput("open", !closed); });
    watch(pins.button, (closed) => { onInput("pressed", closed); });
  }

  get hasDisplay(): boolean {
    return this.#lcd !== null;
  }

  light(colour: Colour | null): void {
    const lit = colour === null ? [] : mixtures[colour];
    for (const name of ["red", "green", "blue"] as const) {
      if (lit.includes(name)) this.#leds[name].on();
      else this.#leds[name].off();
    }
  }

  sound(on: boolean): void {
    if (on) this.#buzzer.high();
    else this.#buzzer.low();
  }

  /**
   * Asks for the inputs' levels: a sign of life on a stock board, and good for a report that was lost. Says again that they are
   * inputs, pulled up: one stray FF makes outputs of all pins of a stock board.
   */
  ask(): void {
    for (const pin of [pins.lid, pins.button]) {
      this.io.pinMode(pin, inputMode);
      this.io.digitalWrite(pin, 1);
    }
    this.io.reportDigitalPin(pins.lid, 1);
  }

  /** Looks for a display; a bus without one answers nothing. */
  async findDisplay(clock: Clock): Promise<void> {
    this.io.i2cConfig();
    for (const address of displayAddresses) {
      const answered = new Promise<boolean>((resolve) => {
        // StandardFirmata answers for a device that is not there too; only, it complains of too few bytes first.
        this.io.once("string", () => { resolve(false); });
        this.io.i2cReadOnce(address, 1, () => { resolve(true); });
      });
      if (!await Promise.race([answered, within(clock, limitMs.display)])) continue;
      this.#lcd = new five.LCD({ controller: "PCF8574", address, rows: display.rows, cols: display.columns, board: this.#board });
      return;
    }
  }

  /** Whole lines over whole lines: clearing first would make it flicker. */
  print(lines: readonly string[]): void {
    for (let row = 0; row < display.rows; row++) this.#lcd?.cursor(row, 0).print(shownAs(lines[row] ?? ""), { dontProcessSpecials: true });
  }
}

/** 16 characters that the display's ROM has in common with ASCII. */
export function shownAs(line: string): string {
  return line.replaceAll(/[^\x20-\x5b\x5d-\x7d]/gu, "?").slice(0, display.columns).padEnd(display.columns);
}

import type { EEPROMBackend } from "avr8js";
import { Chip } from "./chip.ts";
import { Display } from "./display.ts";

export interface BoardOptions {
  /** 16,384 words. */
  readonly program: Uint16Array;
  readonly eeprom: EEPROMBackend;
  readonly display: boolean;
  /** Whether a coin cell feeds the controller while there is no supply. */
  readonly cell: boolean;
  /** To the host. */
  readonly onByte: (byte: number) => void;
}

/** docs/panel-protocol.md, by Arduino's numbers. */
const pins = { lid: 2, button: 3, red: 8, buzzer: 9, green: 12, blue: 13, supply: 14 } as const;
const colours = ["off", "red", "green", "yellow", "blue", "purple", "cyan", "white"] as const;
export type Colour = (typeof colours)[number];

/** A panel as it is wired: controller, lid, button, light, buzzer, display, coin cell. */
export class Board {
  cell: boolean;
  readonly #options: BoardOptions;
  #chip: Chip | null = null;
  #display: Display | null = null;
  #supplied = false;
  #lidOpen = false;
  #pressed = false;

  constructor(options: BoardOptions) {
    this.#options = options;
    this.cell = options.cell;
  }

  get powered(): boolean {
    return this.#chip !== null;
  }

  get asleep(): boolean {
    return this.#chip?.asleep ?? false;
  }

  get lidOpen(): boolean {
    return this.#lidOpen;
  }

  get pressed(): boolean {
    return this.#pressed;
  }

  get light(): Colour {
    return colours[(this.#high("red") ? 1 : 0) + (this.#high("green") ? 2 : 0) + (this.#high("blue") ? 4 : 0)] ?? "off";
  }

  get buzzer(): boolean {
    return this.#high("buzzer");
  }

  /** What the display shows; null: none, or it is off. */
  get lines(): readonly [string, string] | null {
    return this.#display?.lines ?? null;
  }

  openLid(open: boolean): void {
    this.#lidOpen = open;
    // Its contact is closed, to ground, while the lid is.
    this.#chip?.drive(pins.lid, open);
  }

  press(pressed: boolean): void {
    this.#pressed = pressed;
    this.#chip?.drive(pins.button, !pressed);
  }

  supply(on: boolean): void {
    this.#supplied = on;
    // The display is not fed by the cell.
    if (!on) this.#display = null;
    else if (this.#options.display) this.#display ??= new Display();
    if (!on && !this.cell) this.#chip = null;
    else if (on && this.#chip === null) this.#start();
    else this.#chip?.drive(pins.supply, on);
  }

  /** Brown-out: the controller starts anew, its memory stays, the rest had power enough. */
  reset(): void {
    if (this.#chip !== null) this.#start();
  }

  /** Cell and supply at once. */
  cut(): void {
    this.#supplied = false;
    this.#chip = null;
    this.#display = null;
  }

  receive(bytes: Uint8Array): void {
    this.#chip?.receive(bytes);
  }

  run(ms: number): void {
    this.#chip?.run(ms);
  }

  #start(): void {
    const { program, eeprom, onByte } = this.#options;
    this.#chip = new Chip({ program, eeprom, peripheral: () => this.#display, onByte });
    this.openLid(this.#lidOpen);
    this.press(this.#pressed);
    this.#chip.drive(pins.supply, this.#supplied);
  }

  #high(pin: keyof typeof pins): boolean {
    return this.#chip?.high(pins[pin]) ?? false;
  }
}

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { root } from "#paths";
import { sleep, systemClock } from "../../../../agent/runtime/clock.ts";
import type { Random } from "../../../../agent/runtime/random.ts";
import { Board } from "../../../../firmware-bridge/emulators/panel/board.ts";
import { Eeprom } from "../../../../firmware-bridge/emulators/panel/eeprom.ts";
import { parseHex } from "../../../../firmware-bridge/emulators/panel/hex.ts";
import { openPanel, type Panel } from "../../../../firmware-bridge/panel/panel.ts";
import type { Line } from "../../../../firmware-bridge/serial/line.ts";
import { VirtualClock } from "../../../support/virtual-clock.ts";

const committed = pathToFileURL(`${root}firmware-bridge/firmware/panel.hex`);
/** The driver's time goes so much faster than johnny-five's own timers; the panel's too, unless it is too busy for that. */
const speed = 4;
const beatMs = 3;
/** Time that went by while the machine was busy elsewhere goes by for neither of the two: the panel is not silent then. */
const mostMs = 25;

export const random: Random = { bytes: (length) => new Uint8Array(length).fill(0xab) };

export interface Teardown {
  teardown(task: () => void): void;
}

/** The firmware on a desk, with a line of its own for every connection. */
export class PanelDesk {
  readonly board: Board;
  /** What the driver said on the present line. */
  heard: number[] = [];
  #deliver: ((bytes: Uint8Array) => void) | undefined;
  #mute = false;
  readonly #clock = new VirtualClock();

  constructor(t: Teardown, { program = parseHex(readFileSync(committed, "utf8")), display = false, pace = speed }: { readonly program?: Uint16Array; readonly display?: boolean; readonly pace?: number } = {}) {
    let sent: number[] = [];
    this.board = new Board({ program, eeprom: new Eeprom(), display, cell: false, onByte: (byte) => { sent.push(byte); } });
    this.board.supply(true);
    let over = false;
    t.teardown(() => { over = true; });
    const live = async (): Promise<void> => {
      for (let last = performance.now(); !over;) {
        await sleep(systemClock, beatMs);
        const now = performance.now();
        const passed = Math.min(now - last, mostMs);
        last = now;
        this.board.run(passed * pace);
        const bytes = Uint8Array.from(sent);
        sent = [];
        if (!this.#mute && bytes.length > 0) this.#deliver?.(bytes);
        await this.#clock.advance(passed * speed);
      }
    };
    void live();
  }

  /** Whatever the panel says from now on is lost. */
  mute(): void {
    this.#mute = true;
  }

  /** Bytes that nobody sent, to the host. */
  noise(bytes: Uint8Array): void {
    this.#deliver?.(bytes);
  }

  line(): Line {
    this.heard = [];
    this.#mute = false;
    let open = true;
    let tell: () => void = () => undefined;
    const closed = new Promise<void>((resolve) => { tell = resolve; });
    return {
      path: "/dev/desk", baudRate: 57600, emulated: true, closed,
      write: (bytes) => {
        if (!open) return Promise.reject(new Error("the line is closed"));
        this.heard.push(...bytes);
        this.board.receive(bytes);
        return Promise.resolve();
      },
      listen: (listener) => { this.#deliver = (bytes) => { if (open) listener(bytes); }; },
      close: () => {
        open = false;
        tell();
        return Promise.resolve();
      },
    };
  }

  async panel(line = this.line()): Promise<Panel> {
    const panel = await openPanel({ line, clock: this.#clock, random });
    if (panel === undefined) throw new Error("no panel on the desk");
    return panel;
  }

  /** What `openPanel` makes of a line on which these bytes come. */
  async opened(bytes: Uint8Array): Promise<Panel | undefined> {
    this.mute();
    const line = this.line();
    this.mute();
    const opening = openPanel({ line, clock: this.#clock, random });
    this.noise(bytes);
    return opening;
  }
}

export async function until(fits: () => boolean): Promise<void> {
  while (!fits()) await sleep(systemClock, 2);
}

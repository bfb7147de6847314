import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "#paths";
import { EmulatorError } from "../errors.ts";
import { Pty } from "../pty.ts";
import { Board } from "./board.ts";
import { Eeprom } from "./eeprom.ts";
import { parseHex } from "./hex.ts";
import type { PanelReply, PanelRequest, PanelState, Shown } from "./messages.ts";

export interface PanelBenchOptions {
  /** A symlink to the pty. */
  readonly link: string;
  /** Where the EEPROM is kept; without it, it is forgotten at the end. */
  readonly state?: string;
  /** Default: the build that is committed. */
  readonly hex?: string;
  readonly display: boolean;
  readonly cell: boolean;
}

const beatMs = 4;
/** A machine that stood still for longer has the panel's time stand still too. */
const mostMs = 100;
const shownMost = 200;

/** An emulated panel on a host's line in real time, and what a person can do to it. */
export class PanelBench {
  readonly #options: PanelBenchOptions;
  readonly #board: Board;
  #pty: Pty | null = null;
  #toHost: number[] = [];
  readonly #lose = { host: 0, panel: 0 };
  #shown: Shown[] = [];
  #last = performance.now();

  /** @throws STATE_DAMAGED, FIRMWARE_DAMAGED, PTY_FAILED */
  constructor(options: PanelBenchOptions) {
    this.#options = options;
    const { state, hex, display, cell } = options;
    this.#board = new Board({
      program: parseHex(readFileSync(hex ?? join(root, "firmware-bridge/firmware/panel.hex"), "utf8")),
      eeprom: new Eeprom(state), display, cell, onByte: (byte) => { this.#toHost.push(byte); },
    });
    this.replug();
    setInterval(() => { this.#beat(); }, beatMs);
  }

  /** `/dev/pts/N`, or null while unplugged. */
  get pty(): string | null {
    return this.#pty?.path ?? null;
  }

  replug(): void {
    if (this.#pty !== null) return;
    this.#pty = new Pty((bytes) => { this.#board.receive(bytes.subarray(this.#lost("panel", bytes.length))); }, this.#options.link);
    this.#board.supply(true);
  }

  unplug(): void {
    this.#board.supply(false);
    this.#pty?.unplug();
    this.#pty = null;
  }

  /** @throws NOT_PLUGGED */
  handle(request: PanelRequest): Omit<Extract<PanelReply, { ok: true }>, "ok"> {
    const board = this.#board;
    switch (request.cmd) {
      case "lid": board.openLid(request.to === "open"); return {};
      case "button": board.press(request.to === "pressed"); return {};
      case "cell": board.cell = request.to === "on"; return {};
      case "state": return { state: this.#tell() };
      case "unplug": this.unplug(); return {};
      case "replug": this.replug(); return this.#pty === null ? {} : { pty: this.#pty.path };
      case "cut": this.unplug(); board.cut(); return {};
      case "reset": board.reset(); return {};
      case "noise": this.#noise(request.to, Uint8Array.from(request.bytes)); return {};
      case "lose": this.#lose[request.to] = request.count; return {};
    }
  }

  #noise(to: "host" | "panel", bytes: Uint8Array): void {
    if (this.#pty === null) throw new EmulatorError("NOT_PLUGGED", "there is no line to be noisy", { remedy: "replug it" });
    if (to === "host") void this.#pty.write(bytes);
    else this.#board.receive(bytes);
  }

  #beat(): void {
    const now = performance.now();
    this.#board.run(Math.min(now - this.#last, mostMs));
    this.#last = now;
    const bytes = Uint8Array.from(this.#toHost.splice(0));
    void this.#pty?.write(bytes.subarray(this.#lost("host", bytes.length)));
    const { light, buzzer } = this.#board;
    const before = this.#shown.at(-1);
    if (before?.light !== light || before.buzzer !== buzzer) this.#shown = [...this.#shown.slice(1 - shownMost), { ms: Math.round(now), light, buzzer }];
  }

  /** How many of `count` bytes to this end are lost. */
  #lost(to: "host" | "panel", count: number): number {
    const lost = Math.min(this.#lose[to], count);
    this.#lose[to] -= lost;
    return lost;
  }

  #tell(): PanelState {
    const { powered, asleep, lidOpen, pressed, cell, light, buzzer, lines } = this.#board;
    return {
      plugged: this.#pty !== null, powered, asleep, cell, light, buzzer,
      lid: lidOpen ? "open" : "closed", button: pressed ? "pressed" : "released", display: lines === null ? null : [...lines], shown: this.#shown,
    };
  }
}

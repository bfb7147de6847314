import type { Firmata } from "firmata-io";
import type { Clock } from "../../agent/runtime/clock.ts";
import type { Random } from "../../agent/runtime/random.ts";
import type { Line } from "../serial/line.ts";
import { greet, limitMs, PanelBoard, within } from "./board.ts";
import { PanelError } from "./errors.ts";
import { Player } from "./player.ts";
import { shows, type PanelState } from "./states.ts";
import type { PanelFacts } from "./status.ts";
import { encodeClear, encodeQuery, encodeSerial, panelSysex, parseReport, serialBytes, type PanelReport } from "./sysex.ts";

const ownFirmware = "shardkeep-panel";
export const panelBaudRates: readonly number[] = [57600];
const beatMs = 2000;
const answerMs = 1500;
/** Beats without an answer after which the panel is gone: a UART has no plug to feel. */
const patience = 3;

export interface PanelParts {
  readonly line: Line;
  readonly clock: Clock;
  readonly random: Random;
}

/** The panel at the other end of `line`, or undefined if there is none. */
export async function openPanel(parts: PanelParts): Promise<Panel | undefined> {
  const io = await greet(parts.line, parts.clock);
  return io === undefined ? undefined : Panel.begin(io, parts);
}

/** One panel for as long as its line lives; after that another is made. Ends its line when the panel falls silent or starts anew. */
export class Panel {
  readonly line: Line;
  readonly #clock: Clock;
  readonly #board: PanelBoard;
  readonly #player: Player;
  readonly #own: boolean;
  #open: boolean | null = null;
  #pressed: boolean | null = null;
  #report: PanelReport | null = null;
  #heard: (report: PanelReport | null) => void = () => undefined;
  #unanswered = 0;
  #ended = false;
  #onChange: () => void = () => undefined;

  /** Undefined where what speaks Firmata is no panel: its inputs, or its own report, do not come. */
  static async begin(io: Firmata, { line, clock, random }: PanelParts): Promise<Panel | undefined> {
    const panel = new Panel(io, line, clock);
    if (!await panel.#introduced(random)) {
      panel.#end();
      return undefined;
    }
    await panel.#board.findDisplay(clock);
    panel.#beat();
    return panel;
  }

  private constructor(io: Firmata, line: Line, clock: Clock) {
    this.line = line;
    this.#clock = clock;
    this.#own = io.firmware.name === ownFirmware;
    // The table of handlers outlives every connection.
    io.clearSysexResponse(panelSysex);
    io.sysexResponse(panelSysex, (bytes) => { this.#take(parseReport(bytes)); });
    this.#board = new PanelBoard(io, (input, value) => { this.#input(input, value); });
    this.#player = new Player(this.#board, clock);
    io.on("digital-read", () => { if (!this.#own) this.#unanswered = 0; });
    // It greets in the middle of a conversation: it has started anew, and knows nothing of what it was told.
    io.on("reportversion", () => { void line.close(); });
    void line.closed.then(() => { this.#end(); });
  }

  get facts(): PanelFacts {
    const { version, name = "" } = this.#board.io.firmware;
    const report = this.#report;
    return {
      firmware: `${name} ${version?.major ?? 0}.${version?.minor ?? 0}`,
      latch: this.#own, serial: report?.serial ?? null, display: this.#board.hasDisplay, button: this.#pressed ?? false,
      tamper: {
        open: this.#open ?? true, latched: report?.latched ?? false, damaged: report?.damaged ?? false, counter: report?.counter ?? 0,
        unwatched: report === null || report.starts === report.seen ? null : { from: report.seen, to: report.starts },
      },
    };
  }

  /** Called whenever the facts may have changed. */
  onChange(listener: () => void): void {
    this.#onChange = listener;
  }

  show(state: PanelState): void {
    if (!this.#ended) this.#player.play(shows[state]);
  }

  /** Two lines of 16 characters; what the display cannot show becomes a question mark. PANEL_NO_DISPLAY. */
  print(lines: readonly string[]): void {
    if (!this.#board.hasDisplay) throw new PanelError("PANEL_NO_DISPLAY", "this panel has no display", { remedy: "show it elsewhere, or connect one to A4 and A5 (docs/hardware.md)" });
    if (!this.#ended) this.#board.print(lines);
  }

  /** Forgets the latch and what was unwatched, if nothing has happened since `counter` was read. */
  async clearTamper(counter: number): Promise<void> {
    if (!this.#own) throw new PanelError("PANEL_NO_LATCH", "this panel's firmware has no latch", { remedy: "flash firmware-bridge/firmware/panel.hex" });
    const report = await this.#ask(encodeClear(counter), ({ answer }) => answer === "cleared" || answer === "stale" || answer === "lid-open");
    if (report === null) throw new PanelError("PANEL_SILENT", "the panel did not answer the clear", { retryable: true, remedy: "read its counter again: it may have been cleared" });
    if (report.answer === "stale") throw new PanelError("TAMPER_STALE", `the panel's counter is ${report.counter}, not ${counter}: something happened since`, { remedy: "look at what it says now, then clear that" });
    if (report.answer === "lid-open") throw new PanelError("LID_OPEN", "the case is open", { remedy: "close it first" });
  }

  async #introduced(random: Random): Promise<boolean> {
    const known = new Promise<boolean>((resolve) => {
      this.#onChange = () => { if (this.#open !== null && this.#pressed !== null) resolve(true); };
    });
    this.#board.ask();
    if (!await Promise.race([known, within(this.#clock, limitMs.inputs), this.line.closed.then(() => false)])) return false;
    this.#onChange = () => undefined;
    if (!this.#own) return true;
    const report = await this.#ask(encodeQuery(), ({ answer }) => answer === "query");
    if (report !== null && report.serial === null) await this.#ask(encodeSerial(random.bytes(serialBytes)), ({ answer }) => answer === "serial-set" || answer === "serial-taken");
    return report !== null;
  }

  /** One question at a time; null if no fitting answer comes. */
  async #ask(message: readonly number[], fits: (report: PanelReport) => boolean): Promise<PanelReport | null> {
    const answer = new Promise<PanelReport | null>((resolve) => {
      this.#heard = (report) => { if (report === null || fits(report)) resolve(report); };
    });
    this.#board.io.sysexCommand(message);
    const report = await Promise.race([answer, within(this.#clock, answerMs).then(() => null)]);
    this.#heard = () => undefined;
    return report;
  }

  #take(report: PanelReport | null): void {
    if (report === null) return;
    this.#unanswered = 0;
    this.#report = report;
    this.#heard(report);
    this.#onChange();
  }

  #input(input: "open" | "pressed", value: boolean): void {
    if (input === "open") this.#open = value;
    else this.#pressed = value;
    this.#onChange();
  }

  #beat(): void {
    if (this.#ended) return;
    if (this.#unanswered >= patience) {
      void this.line.close();
      return;
    }
    this.#unanswered += 1;
    if (this.#own) this.#board.io.sysexCommand(encodeQuery());
    this.#board.ask();
    this.#player.refresh();
    this.#clock.after(beatMs, () => { this.#beat(); });
  }

  #end(): void {
    this.#ended = true;
    this.#heard(null);
    this.#player.stop();
  }
}

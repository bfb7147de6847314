import { Board } from "../../../../firmware-bridge/emulators/panel/board.ts";
import { Eeprom } from "../../../../firmware-bridge/emulators/panel/eeprom.ts";

export const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex.replaceAll(" ", ""), "hex"));
export const hexOf = (bytes: Iterable<number>): string => Buffer.from([...bytes]).toString("hex").replaceAll(/(..)(?=.)/g, "$1 ");

/** What the panel says of itself, taken apart by docs/panel-protocol.md and not by the driver. */
export interface Report {
  readonly answer: number;
  readonly open: boolean;
  readonly pressed: boolean;
  readonly latched: boolean;
  readonly damaged: boolean;
  readonly counter: number;
  readonly starts: number;
  readonly seen: number;
  readonly kept: number;
  readonly seconds: number;
  readonly serial: string | null;
}

const number = (bytes: readonly number[]): number => bytes.reduceRight((sum, byte) => sum * 128 + byte, 0);
const sumOf = (bytes: readonly number[]): number => bytes.reduce((sum, byte) => sum + byte, 0) & 0x7f;
/** A sysex of ours with its sum. */
export const sysex = (...content: readonly number[]): Uint8Array => Uint8Array.of(0xf0, 0x0a, ...content, sumOf(content), 0xf7);
export const clear = (counter: number): Uint8Array => sysex(2, ...[0, 7, 14, 21].map((shift) => (counter >> shift) & 0x7f), Math.floor(counter / 2 ** 28));
export const query = sysex(0);

function taken(content: readonly number[]): Report {
  if (content.length !== 45 || content[0] !== 1 || content[44] !== sumOf(content.slice(0, 44))) throw new Error(`no report: ${hexOf(content)}`);
  const flags = content[2] ?? 0;
  const serial = Array.from({ length: 8 }, (_, n) => (content[28 + 2 * n] ?? 0) | (content[29 + 2 * n] ?? 0) << 7);
  return {
    answer: content[1] ?? -1, open: (flags & 1) !== 0, pressed: (flags & 2) !== 0, latched: (flags & 4) !== 0, damaged: (flags & 8) !== 0,
    counter: number(content.slice(3, 8)), starts: number(content.slice(8, 13)), seen: number(content.slice(13, 18)), kept: number(content.slice(18, 23)),
    seconds: number(content.slice(23, 28)), serial: (flags & 16) === 0 ? null : hexOf(serial),
  };
}

/** The firmware on a board on a bench: its line is a list, and time passes when it is told to. */
export class Bench {
  readonly board: Board;
  readonly eeprom: Eeprom;
  #sent: number[] = [];

  constructor(program: Uint16Array, options: { readonly eeprom?: Eeprom; readonly cell?: boolean; readonly display?: boolean } = {}) {
    this.eeprom = options.eeprom ?? new Eeprom();
    this.board = new Board({ program, eeprom: this.eeprom, display: options.display ?? false, cell: options.cell ?? false, onByte: (byte) => { this.#sent.push(byte); } });
  }

  /** Supply, and time for the start and its record; what it said is dropped. */
  started(): this {
    this.board.supply(true);
    this.board.run(120);
    this.#sent = [];
    return this;
  }

  /** Everything said since. */
  said(): number[] {
    return this.#sent.splice(0);
  }

  ask(bytes: Uint8Array, ms = 15): string {
    this.said();
    this.board.receive(bytes);
    this.board.run(ms + bytes.length * 0.2);
    return hexOf(this.said());
  }

  /** The reports among everything said since. */
  reports(): Report[] {
    const reports = [];
    let at: number[] | null = null;
    for (const byte of this.said()) {
      if (byte === 0xf0) at = [];
      else if (byte === 0xf7 && at?.[0] === 0x0a) reports.push(taken(at.slice(1)));
      else at?.push(byte);
    }
    return reports;
  }

  /** The last report that follows `request`. */
  report(request: Uint8Array = query, ms = 20): Report {
    this.said();
    this.board.receive(request);
    this.board.run(ms + request.length * 0.2);
    const last = this.reports().at(-1);
    if (last === undefined) throw new Error("the panel does not answer");
    return last;
  }

  /** Opens the lid and closes it again, each for long enough. */
  opening(): void {
    this.board.openLid(true);
    this.board.run(120);
    this.board.openLid(false);
    this.board.run(60);
  }
}

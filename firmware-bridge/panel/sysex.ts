/** The panel's own sysex (docs/panel-protocol.md), without F0, F7 and, when it is heard, without its first byte. */
export const panelSysex = 0x0a;
export const serialBytes = 8;

const command = { query: 0, report: 1, clear: 2, serial: 3 } as const;
const answers = ["unasked", "query", "cleared", "stale", "lid-open", "serial-set", "serial-taken"] as const;
const flag = { open: 1, pressed: 2, latched: 4, damaged: 8, serial: 16 } as const;
const numberBytes = 5;
const counters = ["counter", "starts", "seen", "kept", "seconds"] as const;
const reportBytes = 3 + counters.length * numberBytes + 2 * serialBytes + 1;

export interface PanelReport {
  readonly answer: (typeof answers)[number];
  readonly open: boolean;
  readonly pressed: boolean;
  /** The lid was open at some time since the last clear. */
  readonly latched: boolean;
  /** Its memory was found spoilt. */
  readonly damaged: boolean;
  /** Of events; 32 bits. */
  readonly counter: number;
  /** Of the firmware, 32 bits, and how many of them the last clear knew. */
  readonly starts: number;
  readonly seen: number;
  /** Losses of supply in which the coin cell kept it watching, since this start. */
  readonly kept: number;
  /** Awake since this start. */
  readonly seconds: number;
  /** Eight bytes in hex, or null while it has none. */
  readonly serial: string | null;
}

export function encodeQuery(): number[] {
  return summed([command.query]);
}

/** @param counter 32 bits */
export function encodeClear(counter: number): number[] {
  return summed([command.clear, ...Array.from({ length: numberBytes }, (_, n) => Math.floor(counter / 128 ** n) % 128)]);
}

/** @param serial 8 bytes */
export function encodeSerial(serial: Uint8Array): number[] {
  return summed([command.serial, ...Array.from(serial).flatMap((byte) => [byte & 0x7f, byte >> 7])]);
}

/** Null for whatever is no whole report: the next one is soon to come. */
export function parseReport(bytes: readonly number[]): PanelReport | null {
  const [kind, answer = -1, flags = 0] = bytes;
  const named = answers[answer];
  if (bytes.length !== reportBytes || kind !== command.report || named === undefined || bytes.at(-1) !== sumOf(bytes.slice(0, -1))) return null;
  const numbers = counters.map((_, n) => numberAt(bytes, 3 + n * numberBytes));
  if (numbers.some((number) => number > 0xffffffff)) return null;
  const [counter = 0, starts = 0, seen = 0, kept = 0, seconds = 0] = numbers;
  const serialAt = reportBytes - 1 - 2 * serialBytes;
  const serial = Uint8Array.from({ length: serialBytes }, (_, n) => (bytes[serialAt + 2 * n] ?? 0) | (bytes[serialAt + 2 * n + 1] ?? 0) << 7);
  return {
    answer: named, counter, starts, seen, kept, seconds,
    open: (flags & flag.open) !== 0, pressed: (flags & flag.pressed) !== 0, latched: (flags & flag.latched) !== 0, damaged: (flags & flag.damaged) !== 0,
    serial: (flags & flag.serial) === 0 ? null : Buffer.from(serial).toString("hex"),
  };
}

function numberAt(bytes: readonly number[], at: number): number {
  return bytes.slice(at, at + numberBytes).reduceRight((sum, seven) => sum * 128 + seven, 0);
}

function sumOf(bytes: readonly number[]): number {
  return bytes.reduce((sum, byte) => sum + byte, 0) & 0x7f;
}

function summed(bytes: readonly number[]): number[] {
  return [panelSysex, ...bytes, sumOf(bytes)];
}

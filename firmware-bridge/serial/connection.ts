import { SerialPort } from "serialport";
import type { Clock } from "../../agent/runtime/clock.ts";
import type { Device } from "./device.ts";
import { SerialError } from "./errors.ts";
import type { Line } from "./line.ts";

const limitMs = { open: 3000, write: 2000, close: 1000 } as const;

/**
 * Opens `device` exclusively (flock: another opener that also locks is refused) with 8 data bits, no parity,
 * one stop bit. Rejects with SERIAL_OPEN_FAILED.
 */
export async function openLine(device: Device, baudRate: number, clock: Clock): Promise<Line> {
  const connection = new Connection(device, baudRate, clock);
  await connection.open();
  return connection;
}

class Connection implements Line {
  readonly path: string;
  readonly emulated: boolean;
  readonly baudRate: number;
  readonly closed: Promise<void>;
  readonly #port: SerialPort;
  readonly #clock: Clock;
  #listener: ((bytes: Uint8Array) => void) | undefined;
  readonly #waiting = new Set<(error: Error) => void>();
  #gone = false;
  #tellClosed: () => void = () => undefined;

  constructor(device: Device, baudRate: number, clock: Clock) {
    this.path = device.path;
    this.emulated = device.emulated;
    this.baudRate = baudRate;
    this.#clock = clock;
    this.closed = new Promise((resolve) => { this.#tellClosed = resolve; });
    this.#port = new SerialPort({ path: device.path, baudRate, lock: true, autoOpen: false });
    // Without a reader an unplug is never noticed, without an error listener it ends the process, and after
    // a failed write it is told three times (platform.md §1).
    this.#port.on("data", (bytes: Uint8Array) => { if (!this.#gone) this.#listener?.(bytes); });
    this.#port.on("error", () => { this.#end(); });
    this.#port.on("close", () => { this.#end(); });
  }

  async open(): Promise<void> {
    try {
      await this.#within(limitMs.open, (done) => { this.#port.open(done); });
    } catch (cause) {
      await this.close();
      throw new SerialError("SERIAL_OPEN_FAILED", `cannot open ${this.path}`, {
        cause, retryable: true, remedy: "check that the device is plugged in, not in use, and that this user is in the group dialout",
      });
    }
  }

  listen(listener: (bytes: Uint8Array) => void): void {
    this.#listener = listener;
  }

  async write(bytes: Uint8Array): Promise<void> {
    // A write after the close would never call back.
    if (this.#gone) throw this.#lost();
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    try {
      await this.#within(limitMs.write, (done) => {
        this.#port.write(view, (error) => { if (error) done(error); });
        this.#port.drain(done);
      });
    } catch (error) {
      await this.close();
      throw error instanceof SerialError ? error : this.#lost(error);
    }
  }

  async close(): Promise<void> {
    if (this.#gone) return;
    this.#end();
    // "Port is not open" after an unplug is as good as closed; a driver that hangs in close is left behind.
    await this.#within(limitMs.close, (done) => { this.#port.close(done); }).catch(() => undefined);
  }

  #end(): void {
    this.#gone = true;
    for (const fail of this.#waiting) fail(this.#lost());
    this.#tellClosed();
  }

  #lost(cause?: unknown): SerialError {
    return new SerialError("SERIAL_LOST", `the line ${this.path} is gone`, { cause, retryable: true, remedy: "check the cable" });
  }

  /** Callbacks of serialport are not certain to come: every one has a limit. */
  #within(ms: number, start: (done: (error: Error | null | undefined) => void) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (error: Error | null | undefined): void => {
        cancel();
        this.#waiting.delete(done);
        if (error) reject(error);
        else resolve();
      };
      const cancel = this.#clock.after(ms, () => {
        done(new SerialError("SERIAL_WRITE_TIMEOUT", `${this.path} took nothing for ${ms} ms`, { retryable: true, remedy: "unplug the device and plug it in again" }));
      });
      this.#waiting.add(done);
      start(done);
    });
  }
}

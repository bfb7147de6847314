import type { Clock } from "../../../agent/runtime/clock.ts";
import { wipe } from "../../../agent/runtime/secrets.ts";
import type { Line } from "../../serial/line.ts";
import { SensorError } from "../errors.ts";
import { encodePacket, packetType, parse, parserStart, type Heard, type Packet, type PacketType, type ParserState } from "./packets.ts";

export const defaultAddress = 0xffffffff;

/** What an exchange makes of a packet: not its own, one of several, or the last with what it comes to. */
export type Taken<T> = "foreign" | "more" | { readonly done: T };

interface Waiting {
  readonly name: string;
  /** Disturbances when it began. */
  readonly before: number;
  readonly take: (packet: Packet) => "foreign" | "more" | "done";
  readonly reject: (error: Error) => void;
  cancel: () => void;
}

/** The module's single byte after its start (§1.3). */
const restart = 0x55;
const dataIdleMs = 500;
/** A header that nothing followed for this long may be a false one. */
const quietMs = 100;

/** Packets over one line, and a count of everything on it that was out of order. */
export class Channel {
  readonly line: Line;
  readonly address: number;
  readonly #clock: Clock;
  #state: ParserState = parserStart;
  #waiting: Waiting | undefined;
  #disturbances = 0;
  #lastByteAt = 0;
  #cancelQuiet: () => void = () => undefined;
  #onUnasked: () => void = () => undefined;

  constructor(line: Line, clock: Clock, address: number) {
    this.line = line;
    this.address = address;
    this.#clock = clock;
    line.listen((bytes) => { this.#receive(bytes); });
    void line.closed.then(() => {
      this.#cancelQuiet();
      this.#fail(this.#lost());
    });
  }

  /** Grows with everything that was out of order; two equal readings mean that all between them was in order. */
  get disturbances(): number {
    return this.#disturbances;
  }

  disturb(): void {
    this.#disturbances += 1;
  }

  /** `listener` is called when something came that nobody waits for, 55h of a restart above all. */
  onUnasked(listener: () => void): void {
    this.#onUnasked = listener;
  }

  /** How long the line has been at rest, in ms. */
  get restedMs(): number {
    return this.#clock.now() - this.#lastByteAt;
  }

  /** Forgets an unfinished packet; true if there was one. */
  forget(): boolean {
    const unfinished = this.#state.rest.length > 0;
    this.#state = parserStart;
    return unfinished;
  }

  /** Sends one packet; SENSOR_ABSENT. */
  async send(type: PacketType, content: Uint8Array): Promise<void> {
    const frame = encodePacket({ address: this.address, type, content });
    try {
      await this.line.write(frame);
    } catch (cause) {
      throw this.#lost(cause);
    } finally {
      wipe(frame);
    }
  }

  /**
   * Sends a command and gives every packet to `take` until it is done. Rejects with SENSOR_SILENT,
   * SENSOR_GARBLED, SENSOR_RESTARTED, SENSOR_ABSENT, or with what `take` throws.
   */
  async ask<T>(name: string, content: Uint8Array, deadlineMs: number, take: (packet: Packet) => Taken<T>): Promise<T> {
    if (this.#waiting !== undefined) throw new SensorError("SENSOR_BUSY", `${name}: another command is under way`);
    return await new Promise<T>((resolve, reject) => {
      this.#waiting = {
        name, reject, before: this.#disturbances,
        take: (packet) => {
          const taken = take(packet);
          if (typeof taken === "string") return taken;
          resolve(taken.done);
          return "done";
        },
        cancel: this.#clock.after(deadlineMs, () => { this.#late(); }),
      };
      // The reply may come before the write has been confirmed; a failed write ends the wait.
      this.send(packetType.command, content).catch((error: unknown) => { this.#fail(error); });
    });
  }

  #receive(bytes: Uint8Array): void {
    this.#lastByteAt = this.#clock.now();
    this.#cancelQuiet();
    this.#hear(bytes, false);
    if (this.#state.rest.length > 0) this.#cancelQuiet = this.#clock.after(quietMs, () => { this.#hear(new Uint8Array(0), true); });
  }

  #hear(bytes: Uint8Array, quiet: boolean): void {
    const { state, heard } = parse(this.#state, bytes, quiet);
    this.#state = state;
    for (const item of heard) this.#handle(item);
  }

  #handle(item: Heard): void {
    const waiting = this.#waiting;
    if (waiting === undefined) {
      this.disturb();
      this.#onUnasked();
    } else if (item.kind === "packet") {
      this.#offer(waiting, item.packet);
    } else {
      this.disturb();
      if (item.kind === "stray" && item.bytes.includes(restart)) {
        this.#fail(new SensorError("SENSOR_RESTARTED", "the sensor restarted by itself", { retryable: true, remedy: "if nobody touched its cable, treat it as tampered with" }));
      }
    }
  }

  #offer(waiting: Waiting, packet: Packet): void {
    try {
      const taken = waiting.take(packet);
      if (taken === "foreign") {
        this.disturb();
      } else if (taken === "done") {
        this.#stopWaiting();
      } else {
        waiting.cancel();
        waiting.cancel = this.#clock.after(dataIdleMs, () => { this.#late(); });
      }
    } catch (error) {
      this.disturb();
      this.#fail(error);
    }
  }

  #late(): void {
    const { name, before } = this.#waiting ?? { name: "", before: 0 };
    const garbled = this.#disturbances !== before;
    this.disturb();
    this.#fail(garbled
      ? new SensorError("SENSOR_GARBLED", `${name}: what came was no good reply`, { retryable: true, remedy: "check the cable" })
      : new SensorError("SENSOR_SILENT", `${name}: the sensor sent nothing, or stopped sending`, { retryable: true, remedy: "check the cable and the sensor's supply" }));
  }

  #fail(error: unknown): void {
    const waiting = this.#waiting;
    this.#stopWaiting();
    waiting?.reject(error instanceof Error ? error : this.#lost(error));
  }

  #stopWaiting(): void {
    this.#waiting?.cancel();
    this.#waiting = undefined;
  }

  #lost(cause?: unknown): SensorError {
    return new SensorError("SENSOR_ABSENT", `the line to the sensor (${this.line.path}) is gone`, { cause, retryable: true, remedy: "check the cable" });
  }
}

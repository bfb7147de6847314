import type { Clock } from "../../../agent/runtime/clock.ts";
import { concat } from "../../../agent/runtime/encoding.ts";
import { wipe } from "../../../agent/runtime/secrets.ts";
import type { Line } from "../../serial/line.ts";
import { SensorError } from "../errors.ts";
import { code, codeName } from "./codes.ts";
import { readParameters, type Command } from "./commands.ts";
import { encodePacket, packetType, parse, parserStart, type Heard, type Packet, type ParserState } from "./packets.ts";

export const defaultAddress = 0xffffffff;
/** A template is 512 to 1538 bytes on the known modules; a module that never ends its data is cut off here (Q12). */
export const templateLimit = 4096;

const restart = 0x55;
const dataIdleMs = 500;
/** A header that nothing followed for this long may be a false one. */
const quietMs = 100;
/** How long the line must rest before a new start, and how long that is waited for. */
const settle = { restMs: 150, mostMs: 3000 } as const;

export type Reply<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly code: number };

/** What one exchange does with the packets that come: `foreign` ones are not its own and are dropped. */
type Take = (packet: Packet) => "foreign" | "more" | "done";

interface Waiting {
  readonly name: string;
  readonly take: Take;
  readonly idleMs: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  cancel: () => void;
}

/**
 * One command at a time with its deadline. Replies carry no number, so one that is late, doubled or of a
 * stranger could be taken for the answer to the next command. Therefore everything out of order counts as
 * a disturbance, and after one the next command first realigns: it waits until the line rests, then asks
 * for the parameters, whose reply has a length of its own, and drops all that comes before it.
 */
export class Exchange {
  readonly line: Line;
  readonly #clock: Clock;
  readonly #address: number;
  #state: ParserState = parserStart;
  #waiting: Waiting | undefined;
  #aligned = true;
  #disturbances = 0;
  #lastByteAt = 0;
  #cancelQuiet: () => void = () => undefined;
  #onDisturbed: () => void = () => undefined;

  constructor(line: Line, clock: Clock, address: number = defaultAddress) {
    this.line = line;
    this.#clock = clock;
    this.#address = address;
    line.listen((bytes) => { this.#receive(bytes); });
    void line.closed.then(() => { this.#cancelQuiet(); this.#fail(this.#lost()); });
  }

  /** Grows with everything that was out of order; two equal readings mean that all between them was in order. */
  get disturbances(): number {
    return this.#disturbances;
  }

  /** Called when something came that nobody had asked for, 55h of a restart above all. */
  onDisturbed(listener: () => void): void {
    this.#onDisturbed = listener;
  }

  /**
   * Sends `command` and reads its reply. Rejects with SENSOR_SILENT, SENSOR_GARBLED, SENSOR_RESTARTED,
   * SENSOR_LOCKED (21h) or the line's own error. The command's content is wiped: it may be a password.
   */
  async send<T>(command: Command<T>): Promise<Reply<T>> {
    try {
      await this.#align();
      let reply: Reply<T> | undefined;
      await this.#run(command, (packet) => {
        reply = this.#acknowledgement(command, packet);
        return reply === undefined ? "foreign" : "done";
      });
      return this.#settled(command, reply);
    } finally {
      wipe(command.content);
    }
  }

  /** As {@link send}; any code but 00 is SENSOR_REFUSED. */
  async demand<T>(command: Command<T>): Promise<T> {
    const reply = await this.send(command);
    if (reply.ok) return reply.value;
    throw refused(command.name, reply.code);
  }

  /** Sends `command`, whose 00 is followed by data packets; resolves with their content, at most {@link templateLimit} bytes. */
  async receive(command: Command<null>): Promise<Uint8Array<ArrayBuffer>> {
    await this.#align();
    const parts: Uint8Array[] = [];
    let reply: Reply<null> | undefined;
    let size = 0;
    try {
      await this.#run(command, (packet) => {
        if (reply === undefined) {
          reply = this.#acknowledgement(command, packet);
          return reply === undefined ? "foreign" : reply.ok ? "more" : "done";
        }
        if (packet.address !== this.#address || (packet.type !== packetType.data && packet.type !== packetType.end)) return "foreign";
        size += packet.content.length;
        if (size > templateLimit) throw new SensorError("SENSOR_GARBLED", `${command.name} sends more than ${templateLimit} bytes`, { retryable: true });
        parts.push(packet.content);
        return packet.type === packetType.end ? "done" : "more";
      });
      const { ok, ...rest } = this.#settled(command, reply);
      if (!ok) throw refused(command.name, "code" in rest ? rest.code : code.badPacket);
      return concat(...parts);
    } finally {
      wipe(...parts);
    }
  }

  /**
   * Sends `command` and, after its 00, `bytes` in packets of `packetSize`. The module says nothing
   * afterwards (§1.4): read back to know.
   */
  async transmit(command: Command<null>, bytes: Uint8Array, packetSize: number): Promise<void> {
    await this.demand(command);
    for (let at = 0; at < bytes.length; at += packetSize) {
      const content = bytes.subarray(at, at + packetSize);
      const type = at + packetSize < bytes.length ? packetType.data : packetType.end;
      const frame = encodePacket({ address: this.#address, type, content });
      try {
        await this.line.write(frame);
      } catch (cause) {
        throw this.#lost(cause);
      } finally {
        wipe(frame);
      }
    }
  }

  /** The reply in `packet`, or undefined when it cannot be one to `command`: address, type, length and code must fit. */
  #acknowledgement<T>(command: Command<T>, { address, type, content }: Packet): Reply<T> | undefined {
    const [confirmation] = content;
    if (address !== this.#address || type !== packetType.ack || confirmation === undefined || !command.codes.includes(confirmation)) return undefined;
    if (confirmation !== code.done) return { ok: false, code: confirmation };
    if (content.length !== 1 + command.reply) return undefined;
    return { ok: true, value: command.decode(content.slice(1)) };
  }

  #settled<T>(command: Command<T>, reply: Reply<T> | undefined): Reply<T> {
    if (reply === undefined) throw new SensorError("SENSOR_SILENT", `${command.name} had no reply`, { retryable: true });
    if (reply.ok) return reply;
    if (reply.code === code.locked) {
      this.#disturbed();
      throw new SensorError("SENSOR_LOCKED", `the sensor wants its password before ${command.name}`, { retryable: true, remedy: "switch the sensor off for two seconds and on again" });
    }
    if (reply.code === code.badPacket) {
      this.#disturbed();
      throw new SensorError("SENSOR_GARBLED", `${command.name} reached the sensor damaged`, { retryable: true, remedy: "check the cable" });
    }
    return reply;
  }

  async #run<T>(command: Command<T>, take: Take): Promise<void> {
    const frame = encodePacket({ address: this.#address, type: packetType.command, content: command.content });
    const heard = this.#disturbances;
    // The reply may come before the write has been confirmed; a failed write ends the wait.
    const replied = this.#wait(command.name, command.deadlineMs, dataIdleMs, take, () => this.#disturbances !== heard);
    try {
      this.line.write(frame).catch((cause: unknown) => { this.#fail(this.#lost(cause)); });
      await replied;
    } finally {
      wipe(frame);
    }
  }

  #wait(name: string, deadlineMs: number, idleMs: number, take: Take, garbled: () => boolean): Promise<void> {
    if (this.#waiting !== undefined) throw new SensorError("SENSOR_BUSY", `${name}: another command is under way`);
    return new Promise((resolve, reject) => {
      this.#waiting = { name, take, idleMs, resolve, reject, cancel: this.#clock.after(deadlineMs, () => { this.#late(garbled()); }) };
    });
  }

  #late(garbled: boolean): void {
    const name = this.#waiting?.name ?? "";
    this.#disturbed();
    this.#fail(garbled
      ? new SensorError("SENSOR_GARBLED", `${name}: what came was no good reply`, { retryable: true, remedy: "check the cable" })
      : new SensorError("SENSOR_SILENT", `${name} had no reply in time`, { retryable: true, remedy: "check the cable and the sensor's supply" }));
  }

  #receive(bytes: Uint8Array): void {
    this.#lastByteAt = this.#clock.now();
    this.#hear(bytes, false);
    this.#cancelQuiet();
    if (this.#state.rest.length > 0) this.#cancelQuiet = this.#clock.after(quietMs, () => { this.#hear(new Uint8Array(0), true); });
  }

  #hear(bytes: Uint8Array, quiet: boolean): void {
    const { state, heard } = parse(this.#state, bytes, quiet);
    this.#state = state;
    for (const item of heard) this.#handle(item);
  }

  #handle(item: Heard): void {
    const waiting = this.#waiting;
    if (item.kind !== "packet") {
      this.#disturbed();
      if (item.kind === "stray" && item.bytes.includes(restart)) {
        this.#fail(new SensorError("SENSOR_RESTARTED", "the sensor restarted by itself", { retryable: true, remedy: "if nobody touched its cable, treat it as tampered with" }));
      }
      if (waiting === undefined) this.#onDisturbed();
      return;
    }
    if (waiting === undefined) {
      this.#disturbed();
      this.#onDisturbed();
      return;
    }
    try {
      const taken = waiting.take(item.packet);
      if (taken === "foreign") {
        this.#disturbed();
      } else if (taken === "done") {
        this.#stopWaiting();
        waiting.resolve();
      } else {
        waiting.cancel();
        waiting.cancel = this.#clock.after(waiting.idleMs, () => { this.#late(true); });
      }
    } catch (error) {
      this.#disturbed();
      this.#fail(error instanceof Error ? error : this.#lost());
    }
  }

  #disturbed(): void {
    this.#disturbances += 1;
    this.#aligned = false;
  }

  #fail(error: Error): void {
    const waiting = this.#waiting;
    this.#stopWaiting();
    waiting?.reject(error);
  }

  #stopWaiting(): void {
    this.#waiting?.cancel();
    this.#waiting = undefined;
  }

  #lost(cause?: unknown): SensorError {
    return new SensorError("SENSOR_ABSENT", `the line to the sensor (${this.line.path}) is gone`, { cause, retryable: true, remedy: "check the cable" });
  }

  async #align(): Promise<void> {
    // A beginning of something, from before this command.
    if (this.#state.rest.length > 0) this.#disturbed();
    if (this.#aligned) return;
    const until = this.#clock.now() + settle.mostMs;
    do {
      if (this.#clock.now() > until) throw new SensorError("SENSOR_GARBLED", "the sensor does not stop sending", { retryable: true, remedy: "switch the sensor off for two seconds and on again" });
      await new Promise<void>((resolve) => { this.#clock.after(settle.restMs, resolve); });
    } while (this.#clock.now() - this.#lastByteAt < settle.restMs);
    this.#state = parserStart;
    const probe = readParameters();
    await this.#run(probe, (packet) => {
      const reply = this.#acknowledgement(probe, packet);
      // A locked module answers this, too, with 21h; then the caller's command says so again.
      return reply !== undefined && (reply.ok || reply.code === code.locked) ? "done" : "foreign";
    });
    this.#aligned = true;
  }
}

function refused(name: string, confirmation: number): SensorError {
  return new SensorError("SENSOR_REFUSED", `the sensor answered ${name} with ${codeName(confirmation)}`);
}

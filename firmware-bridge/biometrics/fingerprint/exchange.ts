import { sleep, type Clock } from "../../../agent/runtime/clock.ts";
import { concat } from "../../../agent/runtime/encoding.ts";
import { wipe } from "../../../agent/runtime/secrets.ts";
import type { Line } from "../../serial/line.ts";
import { SensorError } from "../errors.ts";
import { Channel, defaultAddress, type Taken } from "./channel.ts";
import { code } from "./codes.ts";
import { readParameters, type Command } from "./commands.ts";
import { packetType, type Packet } from "./packets.ts";
import { readReply, refused, troubleIn, type Reply } from "./reply.ts";

/** A template is 512 to 1538 bytes on the known modules; one that never ends its data is cut off here (Q12). */
export const templateLimit = 4096;

/** How long the line must rest before a new start, and how long that is waited for. */
const settle = { restMs: 150, mostMs: 3000 } as const;

/**
 * One command at a time with its deadline. Replies carry no number, so one that is late, doubled or of a
 * stranger could be taken for the answer to the next command. Therefore everything out of order counts as
 * a disturbance, and after one the next command first realigns: it waits until the line rests, then asks
 * for the parameters, whose reply has a length of its own, and drops all that comes before it.
 */
export class Exchange {
  readonly #channel: Channel;
  readonly #clock: Clock;
  /** The disturbances that have been realigned after. */
  #alignedAt = 0;

  constructor(line: Line, clock: Clock, address: number = defaultAddress) {
    this.#channel = new Channel(line, clock, address);
    this.#clock = clock;
  }

  get line(): Line {
    return this.#channel.line;
  }

  /** Two equal readings mean that everything between them was in order. */
  get disturbances(): number {
    return this.#channel.disturbances;
  }

  /** `listener` is called when the sensor sends what nobody asked for. */
  onUnasked(listener: () => void): void {
    this.#channel.onUnasked(listener);
  }

  /**
   * Sends `command` and reads its reply. Rejects with SENSOR_SILENT, SENSOR_GARBLED, SENSOR_RESTARTED,
   * SENSOR_LOCKED (21h) or SENSOR_ABSENT. The command's content is wiped: it may be a password.
   */
  async send<T>(command: Command<T>): Promise<Reply<T>> {
    return await this.#ask(command, (packet) => {
      const reply = readReply(command, packet, this.#channel.address);
      return reply === undefined ? "foreign" : { done: reply };
    });
  }

  /** As {@link send}; any code but 00 is SENSOR_REFUSED. */
  async demand<T>(command: Command<T>): Promise<T> {
    const reply = await this.send(command);
    if (!reply.ok) throw refused(command.name, reply.code);
    return reply.value;
  }

  /** Sends `command`, whose 00 is followed by data packets; resolves with their content, at most {@link templateLimit} bytes. */
  async receive(command: Command<null>): Promise<Uint8Array<ArrayBuffer>> {
    const { address } = this.#channel;
    const parts: Uint8Array[] = [];
    let acknowledged = false;
    let size = 0;
    try {
      const reply = await this.#ask<Uint8Array<ArrayBuffer>>(command, (packet) => {
        if (!acknowledged) {
          const first = readReply(command, packet, address);
          acknowledged = first?.ok === true;
          return first === undefined ? "foreign" : first.ok ? "more" : { done: first };
        }
        if (packet.address !== address || (packet.type !== packetType.data && packet.type !== packetType.end)) return "foreign";
        size += packet.content.length;
        if (size > templateLimit) throw new SensorError("SENSOR_GARBLED", `${command.name}: more than ${templateLimit} bytes came`, { retryable: true, remedy: "check the cable" });
        parts.push(packet.content);
        return packet.type === packetType.end ? { done: { ok: true, value: concat(...parts) } } : "more";
      });
      if (!reply.ok) throw refused(command.name, reply.code);
      return reply.value;
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
      const type = at + packetSize < bytes.length ? packetType.data : packetType.end;
      await this.#channel.send(type, bytes.subarray(at, at + packetSize));
    }
  }

  async #ask<T>(command: Command<unknown>, take: (packet: Packet) => Taken<Reply<T>>): Promise<Reply<T>> {
    try {
      await this.#align();
      const reply = await this.#channel.ask(command.name, command.content, command.deadlineMs, take);
      const trouble = troubleIn(command.name, reply);
      if (trouble === undefined) return reply;
      this.#channel.disturb();
      throw trouble;
    } finally {
      wipe(command.content);
    }
  }

  async #align(): Promise<void> {
    const channel = this.#channel;
    // The beginning of something, from before this command.
    if (channel.forget()) channel.disturb();
    if (channel.disturbances === this.#alignedAt) return;
    const until = this.#clock.now() + settle.mostMs;
    do {
      if (this.#clock.now() > until) throw new SensorError("SENSOR_GARBLED", "the sensor does not stop sending", { retryable: true, remedy: "switch the sensor off for two seconds and on again" });
      await sleep(this.#clock, settle.restMs);
    } while (channel.restedMs < settle.restMs);
    channel.forget();
    const probe = readParameters();
    await channel.ask(probe.name, probe.content, probe.deadlineMs, (packet): Taken<null> => {
      const reply = readReply(probe, packet, channel.address);
      // A locked module answers this, too, with 21h; the caller's own command will say so again.
      return reply !== undefined && (reply.ok || reply.code === code.locked) ? { done: null } : "foreign";
    });
    this.#alignedAt = channel.disturbances;
  }
}

import { SensorError } from "../errors.ts";
import { code, codeName } from "./codes.ts";
import type { Command } from "./commands.ts";
import { packetType, type Packet } from "./packets.ts";

export type Reply<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly code: number };

/**
 * The reply to `command` in `packet`, or undefined when it cannot be one. Replies carry no number, so
 * address, type, the exact length and the codes that the command may get are all that tells them apart.
 */
export function readReply<T>(command: Command<T>, { address, type, content }: Packet, expectedAddress: number): Reply<T> | undefined {
  const [confirmation] = content;
  if (address !== expectedAddress || type !== packetType.ack || confirmation === undefined || !command.codes.includes(confirmation)) return undefined;
  if (confirmation !== code.done) return { ok: false, code: confirmation };
  return content.length === 1 + command.reply ? { ok: true, value: command.decode(content.slice(1)) } : undefined;
}

/** The codes that speak of the line or the session and not of what was asked. */
export function troubleIn(name: string, reply: Reply<unknown>): SensorError | undefined {
  if (reply.ok) return undefined;
  if (reply.code === code.locked) {
    return new SensorError("SENSOR_LOCKED", `the sensor wants its password before ${name}`, { retryable: true, remedy: "switch the sensor off for two seconds and on again" });
  }
  if (reply.code === code.badPacket) {
    return new SensorError("SENSOR_GARBLED", `${name} reached the sensor damaged`, { retryable: true, remedy: "check the cable" });
  }
  return undefined;
}

/** An orderly no. */
export function refused(name: string, confirmation: number): SensorError {
  return new SensorError("SENSOR_REFUSED", `the sensor answered ${name} with ${codeName(confirmation)}`);
}

import { concat } from "../../../../agent/runtime/encoding.ts";
import type { Burst } from "../line.ts";
import { encode, pid } from "../packets.ts";
import type { WireFault } from "./fault.ts";

export interface Reply {
  /** The ack, then its data packets. */
  readonly packets: readonly Uint8Array[];
  /** The bytes of the reply before. */
  readonly previous: Uint8Array;
  /** Whether the host has spoken again. */
  readonly interrupted: () => boolean;
}

const headerBytes = 9;
const now = (bytes: Uint8Array): Burst => ({ waitMs: 0, bytes });

export function wellSent(packets: readonly Uint8Array[]): Burst[] {
  return packets.map(now);
}

/** Whether a reply has what `fault` spoils; it waits for one that has. */
export function fits(fault: WireFault, packets: readonly Uint8Array[]): boolean {
  if ("packet" in fault) return fault.packet < packets.length;
  if ("at" in fault && fault.at !== undefined) return fault.at < packets.reduce((sum, { length }) => sum + length, 0);
  const needsData = fault.name === "endless-data" || fault.name === "missing-end" || fault.name === "short-last";
  return packets.length > (needsData ? 1 : 0);
}

/** How a reply that `fits` leaves the module with `fault`. */
export function spoil(fault: WireFault, reply: Reply): Iterable<Burst> {
  const { packets } = reply;
  const whole = concat(...packets);
  switch (fault.name) {
    case "drop-byte": return [now(splice(whole, fault.at, 1, []))];
    case "flip-byte": return [now(splice(whole, fault.at, 1, [(whole[fault.at] ?? 0) ^ 0xff]))];
    case "insert-byte": return [now(splice(whole, fault.at, 0, [fault.byte]))];
    case "stray-bytes": return [now(Uint8Array.from(fault.bytes)), ...wellSent(packets)];
    case "split": return split(whole, fault.at, fault.pauseMs);
    case "bad-checksum": return changed(packets, fault.packet, (bytes) => splice(bytes, bytes.length - 1, 1, [(bytes.at(-1) ?? 0) ^ 0x01]));
    case "bad-length": return changed(packets, fault.packet, (bytes) => splice(bytes, 7, 2, [fault.length >> 8, fault.length & 0xff]));
    case "wrong-pid": return changed(packets, fault.packet, (bytes) => rebuilt(bytes, { pid: fault.pid }));
    case "wrong-address": return changed(packets, fault.packet, (bytes) => rebuilt(bytes, { address: (addressOf(bytes) ^ 1) >>> 0 }));
    case "late": return wellSent(packets).map((burst, index) => index === 0 ? { ...burst, waitMs: fault.ms } : burst);
    case "silent": return [];
    case "double": return wellSent([...packets, ...packets]);
    case "previous": return [now(reply.previous)];
    case "endless-data": return endless(reply);
    case "missing-end": return wellSent(packets.slice(0, -1));
    case "short-last": return changed(packets, packets.length - 1, (bytes) => rebuilt(bytes, { content: contentOf(bytes).subarray(0, -10) }));
  }
}

function splice(bytes: Uint8Array, start: number, count: number, put: readonly number[]): Uint8Array {
  const list = [...bytes];
  list.splice(start, count, ...put);
  return Uint8Array.from(list);
}

function split(whole: Uint8Array, at: number | undefined, pauseMs: number): Burst[] {
  if (at !== undefined) return [now(whole.subarray(0, at)), { waitMs: pauseMs, bytes: whole.subarray(at) }];
  return Array.from(whole, (byte, index) => ({ waitMs: index === 0 ? 0 : pauseMs, bytes: Uint8Array.of(byte) }));
}

function changed(packets: readonly Uint8Array[], index: number, change: (bytes: Uint8Array) => Uint8Array): Burst[] {
  return wellSent(packets.map((bytes, at) => at === index ? change(bytes) : bytes));
}

function addressOf(packet: Uint8Array): number {
  return new DataView(packet.buffer, packet.byteOffset).getUint32(2);
}

function contentOf(packet: Uint8Array): Uint8Array {
  return packet.subarray(headerBytes, -2);
}

/** The packet with other fields and the checksum that belongs to them: wrong in nothing else. */
function rebuilt(packet: Uint8Array, change: { address?: number; pid?: number; content?: Uint8Array }): Uint8Array {
  return encode({ address: addressOf(packet), pid: packet[6] ?? 0, content: contentOf(packet), ...change });
}

function* endless({ packets, interrupted }: Reply): Generator<Burst> {
  const [ack, first, ...rest] = packets;
  if (ack !== undefined) yield now(ack);
  if (first === undefined) return;
  for (const data of [first, ...rest]) yield now(rebuilt(data, { pid: pid.data }));
  const zeros = rebuilt(first, { pid: pid.data, content: new Uint8Array(contentOf(first).length) });
  while (!interrupted()) yield now(zeros);
}

import { sleep, type Clock } from "../../../agent/runtime/clock.ts";
import { encode, pid } from "./packets.ts";
import { lineMs } from "./timing.ts";

/** Bytes that leave together, after a silence. */
export interface Burst {
  /** Real milliseconds: a fault's, not divided by the speed. */
  readonly waitMs: number;
  readonly bytes: Uint8Array;
}

/** Written at once; at 57600 baud this is 2.8 ms of line time. */
const strideBytes = 16;

/** Sends bursts no faster than a line of 9600 × `n` × `speed` baud would carry them, while `wanted` holds. */
export async function sendPaced(bursts: Iterable<Burst>, n: number, speed: number, clock: Clock, send: (bytes: Uint8Array) => Promise<void>, wanted: () => boolean): Promise<void> {
  let free = clock.now();
  for (const { waitMs, bytes } of bursts) {
    if (waitMs > 0) await sleep(clock, waitMs);
    free = Math.max(free, clock.now());
    for (let at = 0; at < bytes.length; at += strideBytes) {
      const stride = bytes.subarray(at, at + strideBytes);
      free += lineMs(stride.length, n) / speed;
      // Timers count whole milliseconds: shorter waits add up in `free` until they are worth one.
      if (free - clock.now() >= 1) await sleep(clock, free - clock.now());
      if (!wanted()) return;
      await send(stride);
    }
  }
}

/** Data in packets of `size` bytes, the last of them marked, full or not (hardware/fingerprint.md §1.4). */
export function dataPackets(address: number, data: Uint8Array, size: number): Uint8Array[] {
  const packets = [];
  for (let at = 0; at < data.length; at += size) {
    packets.push(encode({ address, pid: at + size < data.length ? pid.data : pid.end, content: data.subarray(at, at + size) }));
  }
  return packets;
}

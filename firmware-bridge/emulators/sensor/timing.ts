import type { Profile } from "./profiles.ts";
import type { State } from "./state.ts";

/** How long a module of this kind works at a command before its ack, in ms (hardware/fingerprint.md §2.9). */
export function workMs(profile: Profile, state: State, opcode: number): number {
  switch (opcode) {
    case 0x01: case 0x28: return profile.captureMs;
    case 0x02: return profile.featureMs;
    case 0x04: case 0x1b: return 10 + profile.searchMsPerSlot * state.flash.library.size;
    case 0x05: case 0x0d: return 200;
    case 0x06: case 0x0c: case 0x12: case 0x15: case 0x0e: case 0x18: return 50;
    default: return 3;
  }
}

/** Line time of `bytes`: start bit, 8 data bits, stop bit (§1.1). */
export function lineMs(bytes: number, n: number): number {
  return bytes * 10_000 / (9600 * n);
}

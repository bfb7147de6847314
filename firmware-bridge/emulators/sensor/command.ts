import type { Random } from "../../../agent/runtime/random.ts";
import type { Profile } from "./profiles.ts";
import type { State } from "./state.ts";

/** A finger on the glass. */
export interface Finger {
  readonly name: string;
  /** 0..100; below 10 nothing but smear is seen, below 30 too few points. */
  readonly quality: number;
}

/** What a command sees beside the state. */
export interface Surroundings {
  readonly profile: Profile;
  readonly finger: Finger | null;
  readonly random: Random;
}

export interface Outcome {
  readonly state: State;
  /** Contents of the acks in order: confirmation code, results. Usually one; none is silence. */
  readonly acks: readonly Uint8Array[];
  /** Follows the ack in data packets. */
  readonly data?: Uint8Array;
  /** The module starts again after its ack. */
  readonly reset?: true;
}

export interface Command {
  /** Bytes after the opcode; any other number is a bad packet. */
  readonly parameters: number;
  readonly run: (state: State, parameters: DataView, around: Surroundings) => Outcome;
}
export type Commands = Readonly<Record<number, Command>>;

export function answer(state: State, code: number, ...results: readonly number[]): Outcome {
  return { state, acks: [Uint8Array.of(code, ...results)] };
}

/** Big endian, as everything here. */
export function u16(value: number): [number, number] {
  return [value >> 8 & 0xff, value & 0xff];
}

export function u32(value: number): [number, number, number, number] {
  return [...u16(value >>> 16), ...u16(value & 0xffff)];
}

/** Text in a field of fixed length, padded with zeros. */
export function ascii(text: string, length: number): number[] {
  return Array.from({ length }, (_, at) => at < text.length ? text.charCodeAt(at) & 0x7f : 0);
}

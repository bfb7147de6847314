import type { Profile } from "./profiles.ts";
import type { AutoJob } from "./commands/auto.ts";

/** What a module keeps without power. */
export interface Flash {
  /** 8 ASCII characters beginning with EMU, so that everybody upstream can say "emulated". */
  readonly serial: string;
  readonly password: number;
  readonly address: number;
  /** 1..5 */
  readonly security: number;
  /** 0..3 for 32, 64, 128, 256 bytes in a data packet. */
  readonly packetSize: number;
  /** N; the rate is 9600 N. */
  readonly baud: number;
  readonly library: ReadonlyMap<number, Uint8Array>;
  /** 16 pages of 32 bytes. */
  readonly notepad: Uint8Array;
}

/** A data transfer from the host that has begun. */
export interface Download {
  /** A buffer counts from 1. */
  readonly into: "image" | number;
  readonly bytes: Uint8Array;
}

export interface Light {
  readonly effect: "breathing" | "flashing" | "on" | "off" | "fade on" | "fade off";
  readonly colour: "red" | "blue" | "purple" | "green" | "yellow" | "cyan" | "white";
  readonly speed: number;
  /** 0 = endless. */
  readonly count: number;
}

/** What a module forgets without power. */
export interface Ram {
  readonly verified: boolean;
  /** The rate in use. */
  readonly baud: number;
  readonly image: Uint8Array | null;
  readonly buffers: readonly (Uint8Array | null)[];
  /** The one place of templates, on models that have it (Q9). */
  readonly template: Uint8Array | null;
  /** Whether Search and Match may use the features (Q3). */
  readonly searchable: boolean;
  /** Whether the last comparison found the finger. */
  readonly passed: boolean;
  readonly light: Light;
  readonly download: Download | null;
  readonly auto: AutoJob | null;
}

export interface State {
  readonly flash: Flash;
  readonly ram: Ram;
}

export const notepadPages = 16;
export const pageBytes = 32;

/** A module as it leaves the factory; `serial` is 5 characters. */
export function factoryFlash(profile: Profile, serial: string): Flash {
  return {
    serial: `EMU${serial}`, password: 0, address: 0xffffffff, security: 3, packetSize: 2, baud: profile.baud,
    library: new Map(), notepad: new Uint8Array(notepadPages * pageBytes),
  };
}

export function powerUp(profile: Profile, flash: Flash): State {
  return {
    flash,
    ram: {
      verified: false, baud: flash.baud, image: null, buffers: Array<null>(profile.buffers).fill(null), template: null,
      searchable: false, passed: false, light: { effect: "off", colour: "white", speed: 0, count: 0 }, download: null, auto: null,
    },
  };
}

export function withFlash(state: State, change: Partial<Flash>): State {
  return { ...state, flash: { ...state.flash, ...change } };
}

export function withRam(state: State, change: Partial<Ram>): State {
  return { ...state, ram: { ...state.ram, ...change } };
}

export function isLocked(profile: Profile, state: State): boolean {
  return profile.enforcesPassword && state.flash.password !== 0 && !state.ram.verified;
}

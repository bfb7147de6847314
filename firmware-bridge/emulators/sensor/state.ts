import type { Profile } from "./profiles.ts";

export interface Finger {
  readonly name: string;
  /** `poor`: an image is taken, but no features can be made of it. */
  readonly quality: "good" | "poor";
}

/** Survives power cycles. */
export interface Flash {
  address: number;
  password: number;
  level: number;
  packetCode: number;
  baudFactor: number;
  readonly serial: string;
  readonly library: Map<number, Uint8Array>;
  readonly notepad: Map<number, Uint8Array>;
}

/** Lost without power. */
export interface Ram {
  verified: boolean;
  image: Finger | undefined;
  readonly buffers: Map<number, Uint8Array>;
  lastMatch: boolean;
  light: { mode: number; speed: number; colour: number; count: number };
}

export interface SensorState {
  readonly profile: Profile;
  flash: Flash;
  ram: Ram;
  finger: Finger | undefined;
  /** Grows with every capture: two captures of one finger are not equal. */
  captures: number;
}

export const noPassword = 0;

export function newFlash(serial: string): Flash {
  return { address: 0xffffffff, password: noPassword, level: 3, packetCode: 2, baudFactor: 6, serial, library: new Map(), notepad: new Map() };
}

export function newRam(flash: Flash): Ram {
  return { verified: flash.password === noPassword, image: undefined, buffers: new Map(), lastMatch: false, light: { mode: 4, speed: 0, colour: 0, count: 0 } };
}

interface StoredFlash extends Omit<Flash, "library" | "notepad"> {
  readonly library: readonly (readonly [number, string])[];
  readonly notepad: readonly (readonly [number, string])[];
}

const toText = (map: ReadonlyMap<number, Uint8Array>): (readonly [number, string])[] => [...map].map(([slot, bytes]) => [slot, Buffer.from(bytes).toString("base64")] as const);
const toBytes = (entries: StoredFlash["library"]): Map<number, Uint8Array> => new Map(entries.map(([slot, text]) => [slot, new Uint8Array(Buffer.from(text, "base64"))]));

export function flashToJson(flash: Flash): string {
  return JSON.stringify({ ...flash, library: toText(flash.library), notepad: toText(flash.notepad) });
}

export function flashFromJson(text: string): Flash {
  const stored = JSON.parse(text) as StoredFlash;
  return { ...stored, library: toBytes(stored.library), notepad: toBytes(stored.notepad) };
}

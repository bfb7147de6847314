import type { LightState } from "../biometrics/sensor.ts";

export const colours = ["red", "green", "yellow", "blue", "white"] as const;
export type Colour = (typeof colours)[number];

/** How a state is told. Who sees no colours has the rhythm, who sees no light the sound (docs/panel.md is checked against this). */
export interface Show {
  readonly meaning: string;
  readonly colour: Colour;
  /** Milliseconds lit, dark, lit, … and again from the start; nothing: lit all the time. */
  readonly light: readonly number[];
  /** Milliseconds sounding, silent, sounding, … */
  readonly sound: readonly number[];
  /** Whether the sound begins again at its end. */
  readonly again: boolean;
  /** What the sensor's ring light shows meanwhile. */
  readonly ring: LightState;
}

const silent = { sound: [], again: false } as const;

export const shows = {
  ready: { meaning: "all is well", colour: "green", light: [], ...silent, ring: "ready" },
  "waiting-for-finger": { meaning: "a finger is asked for", colour: "blue", light: [500, 500], sound: [80], again: false, ring: "waiting" },
  accepted: { meaning: "the finger was accepted", colour: "green", light: [100, 100, 100, 300], sound: [80, 80, 80], again: false, ring: "accepted" },
  refused: { meaning: "the finger was refused", colour: "red", light: [250, 250], sound: [700], again: false, ring: "refused" },
  "re-sharding": { meaning: "shards are being renewed", colour: "blue", light: [150, 150, 150, 1550], ...silent, ring: "captured" },
  degraded: { meaning: "it works, but a part is missing", colour: "yellow", light: [1800, 200], ...silent, ring: "degraded" },
  "no-coordinator": { meaning: "the coordinator is not heard", colour: "yellow", light: [150, 150, 150, 150, 150, 1250], ...silent, ring: "off" },
  tamper: { meaning: "the case was opened: the box is locked", colour: "red", light: [750, 250], sound: [500, 500], again: true, ring: "tamper" },
  identify: { meaning: "this is the box that you look for", colour: "white", light: [100, 100], sound: [100, 900], again: true, ring: "accepted" },
} as const satisfies Readonly<Record<string, Show>>;

export type PanelState = keyof typeof shows;
export const panelStates = Object.keys(shows) as [PanelState, ...PanelState[]];

/** The firmware's own show when it has not heard its host for 10 s (panel.c); none of ours may look like it. */
export const hostSilent = { meaning: "the box is off or its agent is dead", colour: "red", light: [64, 192, 64, 1728] } as const;

import type { LightState } from "../sensor.ts";
import { auraLed } from "./commands.ts";
import type { Exchange } from "./exchange.ts";

/**
 * The ring light (§2.7). Only the three colours that every R503 has, and only shows without an end: a
 * command during a counted animation confuses the module (Q26).
 */
const control = { breathe: 1, flash: 2, on: 3, off: 4 } as const;
const colour = { red: 1, blue: 2, purple: 3 } as const;
const speed = 0x60;
const endless = 0;

const shows: Readonly<Record<LightState, readonly [control: number, colour: number]>> = {
  off: [control.off, colour.blue],
  ready: [control.on, colour.blue],
  waiting: [control.breathe, colour.blue],
  captured: [control.on, colour.purple],
  accepted: [control.flash, colour.blue],
  refused: [control.flash, colour.red],
  degraded: [control.breathe, colour.purple],
  tamper: [control.on, colour.red],
};

export async function showLight(exchange: Exchange, state: LightState): Promise<void> {
  const [mode, shade] = shows[state];
  await exchange.demand(auraLed(mode, speed, shade, endless));
}

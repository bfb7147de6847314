import { createHash } from "node:crypto";
import { systemRandom } from "../../../agent/runtime/random.ts";
import { Exchange } from "../../../firmware-bridge/biometrics/fingerprint/exchange.ts";
import type { Pairing, PairingStore } from "../../../firmware-bridge/biometrics/fingerprint/pairing.ts";
import { FingerprintSensor } from "../../../firmware-bridge/biometrics/fingerprint/sensor.ts";
import type { KnownFinger } from "../../../firmware-bridge/biometrics/sensor.ts";
import { ManualClock } from "./manual-clock.ts";
import { ScriptedModule } from "./scripted-module.ts";

/** Keeps a pairing in memory; every saved state is in `saves`. */
export class MemoryStore implements PairingStore {
  readonly saves: Pairing[] = [];

  load(): Pairing | undefined {
    const last = this.saves.at(-1);
    return last && { password: last.password.slice(), marker: last.marker.slice(), confirmed: last.confirmed };
  }

  save(pairing: Pairing): void {
    this.saves.push({ password: pairing.password.slice(), marker: pairing.marker.slice(), confirmed: pairing.confirmed });
  }
}

/** A driver before a scripted module, not paired. */
export function bench(module = new ScriptedModule(), store = new MemoryStore()) {
  const clock = new ManualClock();
  const exchange = new Exchange(module.line, clock);
  const sensor = new FingerprintSensor({ exchange, clock, random: systemRandom, store, securityLevel: 4 });
  return { module, store, clock, exchange, sensor };
}

/** The same, paired, with alice in slot 0 and bob in slot 7. */
export async function pairedBench() {
  const made = bench();
  await made.sensor.pair();
  await made.sensor.inspect();
  const alice = known(0, made.module.enrolled(0, "alice"));
  const bob = known(7, made.module.enrolled(7, "bob"));
  return { ...made, alice, bob };
}

export function known(slot: number, template: Uint8Array, prefix = "prefix"): KnownFinger {
  const digestPrefix = new Uint8Array(Buffer.from(prefix));
  return { slot, digestPrefix, digest: new Uint8Array(createHash("sha256").update(digestPrefix).update(template).digest()) };
}

export const never: AbortSignal = new AbortController().signal;

import type { Clock } from "../../../agent/runtime/clock.ts";
import { equalBytes, wipe } from "../../../agent/runtime/secrets.ts";
import { SensorError } from "../errors.ts";
import type { EnrolRequest, EnrolStep, Enrolment } from "../sensor.ts";
import { mergeFeatures, remove, search, store } from "./commands.ts";
import type { Exchange } from "./exchange.ts";
import type { Finger, Patience } from "./finger.ts";
import { readTemplate, templateDigest } from "./templates.ts";

export interface EnrolTools {
  readonly exchange: Exchange;
  readonly clock: Clock;
  readonly finger: Finger;
  readonly capacity: number;
  /** Captures that one template is made of: 4 on R503 (Q8), 2 on the older modules. */
  readonly captures: number;
  /** Free, as the sensor's index says. */
  readonly slot: number;
}

/**
 * Captures, merge, store, one more capture that must find that very slot (RegModel may merge two fingers,
 * Q6), and the template read twice, which must agree (W11). On any failure the slot is emptied again.
 */
export async function enrol(tools: EnrolTools, request: EnrolRequest, progress: (step: EnrolStep) => void, signal: AbortSignal): Promise<Enrolment> {
  const { exchange, slot } = tools;
  const patience: Patience = { until: tools.clock.now() + request.timeoutMs, signal };
  const before = exchange.disturbances;
  let stored = false;
  try {
    for (let n = 1; n <= tools.captures; n++) await capture(tools, patience, progress, n, n);
    if (!(await exchange.send(mergeFeatures())).ok) throw failed("the captures do not belong to one finger");
    stored = true;
    if (!(await exchange.send(store(1, slot))).ok) throw failed(`the sensor could not write slot ${slot}`);
    await capture(tools, patience, progress, tools.captures + 1, 1);
    const found = await exchange.send(search(1, 0, tools.capacity));
    if (!found.ok) throw failed("the finger is not found again");
    if (found.value.slot !== slot) throw failed(`the finger is found in slot ${found.value.slot}: it is enrolled there already`);
    const digest = await stableDigest(exchange, slot, request.digestPrefix);
    if (exchange.disturbances !== before) throw failed("the line was disturbed");
    return { slot, digest, emulated: exchange.line.emulated };
  } catch (error) {
    const left = stored && !await cleared(exchange, slot);
    const why = error instanceof SensorError ? error.message : "an unexpected error";
    throw new SensorError("ENROL_FAILED", `${why}${left ? `; slot ${slot} could not be emptied and may hold the template` : ""}`, {
      cause: error, retryable: true, remedy: left ? `check the sensor, remove slot ${slot}, enrol again` : "enrol again",
    });
  }
}

function failed(why: string): SensorError {
  return new SensorError("ENROL_FAILED", why);
}

async function capture({ finger, captures }: EnrolTools, patience: Patience, progress: (step: EnrolStep) => void, n: number, buffer: number): Promise<void> {
  const of = captures + 1;
  for (;;) {
    progress({ step: "lift", n, of });
    const lifted = await finger.lifted(patience);
    if (lifted !== "lifted") throw failed(lifted);
    progress({ step: "touch", n, of });
    const touch = await finger.touched(patience, buffer);
    if (touch === "timeout" || touch === "cancelled") throw failed(touch);
    if (touch === "features") break;
  }
  progress({ step: "captured", n, of });
}

async function stableDigest(exchange: Exchange, slot: number, prefix: Uint8Array): Promise<Uint8Array> {
  const first = await readTemplate(exchange, slot);
  const second = await readTemplate(exchange, slot);
  try {
    if (!equalBytes(first, second)) throw failed("the template reads differently each time");
    return templateDigest(prefix, first);
  } finally {
    wipe(first, second);
  }
}

async function cleared(exchange: Exchange, slot: number): Promise<boolean> {
  for (let tries = 0; tries < 3; tries++) {
    try {
      if ((await exchange.send(remove(slot))).ok) return true;
    } catch (error) {
      if (!(error instanceof SensorError) || error.code === "SENSOR_ABSENT") return false;
    }
  }
  return false;
}

import type { Clock } from "../../../agent/runtime/clock.ts";
import { hasCode } from "../../../agent/runtime/errors.ts";
import { equalBytes } from "../../../agent/runtime/secrets.ts";
import { isDisturbance, SensorError } from "../errors.ts";
import type { Identification, IdentifyRequest, KnownFinger } from "../sensor.ts";
import { code } from "./codes.ts";
import { search } from "./commands.ts";
import type { Exchange } from "./exchange.ts";
import { ended, type Finger, type Patience } from "./finger.ts";
import type { Parameters } from "./parameters.ts";
import { storedDigest } from "./templates.ts";

export interface IdentifyTools {
  readonly exchange: Exchange;
  readonly clock: Clock;
  /** Pairing, then the parameters with the level; rejects unless all is as it must be. */
  readonly verify: () => Promise<Parameters>;
  /** What captures on this module; called after a verification. */
  readonly finger: () => Promise<Finger>;
}

const buffer = 1;
/** A sensor that cannot be verified so often in a row is not asked again. */
const verifyTries = 3;

/**
 * One prompt: one touch, one outcome. Any disturbance of the line drops the touch, and the person is
 * asked again (design §7), until the time is over.
 */
export async function identify(tools: IdentifyTools, request: IdentifyRequest, signal: AbortSignal): Promise<Identification> {
  const patience: Patience = { until: tools.clock.now() + request.timeoutMs, signal };
  let unverified = 0;
  for (;;) {
    try {
      unverified += 1;
      const { capacity } = await tools.verify();
      const finger = await tools.finger();
      unverified = 0;
      return await oneTouch(tools, finger, request, patience, capacity);
    } catch (error) {
      if (!isDisturbance(error) || unverified === verifyTries) throw error;
      const over = ended(tools.clock, patience);
      if (over !== undefined) return { outcome: over };
    }
  }
}

async function oneTouch(tools: IdentifyTools, finger: Finger, { fingers }: IdentifyRequest, patience: Patience, capacity: number): Promise<Identification> {
  const { exchange } = tools;
  const before = exchange.disturbances;
  const lifted = await finger.lifted(patience);
  if (lifted !== "lifted") return { outcome: lifted };
  const touch = await finger.touched(patience, buffer);
  if (touch === "timeout" || touch === "cancelled") return { outcome: touch };
  const outcome = touch === "poor" ? poor : await look(tools, fingers, capacity);
  if (exchange.disturbances !== before) {
    throw new SensorError("SENSOR_GARBLED", "the line was disturbed during the touch", { retryable: true, remedy: "check the cable" });
  }
  return patience.signal.aborted ? { outcome: "cancelled" } : outcome;
}

const poor: Identification = { outcome: "refused", reason: "poor-image" };
const unknown: Identification = { outcome: "refused", reason: "unknown-finger" };

/**
 * Search, template digest, and last the verification once more: its parameter reply also proves that no
 * late or doubled reply stood for one of the answers before it.
 */
async function look({ exchange, verify }: IdentifyTools, fingers: IdentifyRequest["fingers"], capacity: number): Promise<Identification> {
  const found = await exchange.send(search(buffer, 0, capacity));
  if (!found.ok) {
    if (found.code === code.notFound) return unknown;
    if (found.code === code.residual) return poor;
    throw new SensorError("SENSOR_REFUSED", "the sensor refused to search");
  }
  const { slot, score } = found.value;
  const known = fingers.find((finger) => finger.slot === slot);
  if (known === undefined) return unknown;
  const digest = await digestOf(exchange, known);
  if (digest === undefined || !equalBytes(digest, known.digest)) return { outcome: "refused", reason: "template-changed" };
  await verify();
  return { outcome: "matched", slot, score, digest, emulated: exchange.line.emulated };
}

/** Undefined if the slot that was just found cannot be read. */
async function digestOf(exchange: Exchange, { slot, digestPrefix }: KnownFinger): Promise<Uint8Array | undefined> {
  try {
    return await storedDigest(exchange, slot, digestPrefix);
  } catch (error) {
    if (hasCode(error, "SLOT_EMPTY") || hasCode(error, "SLOT_INVALID")) return undefined;
    throw error;
  }
}

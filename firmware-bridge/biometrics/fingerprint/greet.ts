import type { Clock } from "../../../agent/runtime/clock.ts";
import { secretBytes } from "../../../agent/runtime/secrets.ts";
import type { Line } from "../../serial/line.ts";
import { isDisturbance, SensorError } from "../errors.ts";
import { verifyPassword } from "./commands.ts";
import { Exchange } from "./exchange.ts";

/**
 * The handshake of discovery: whatever takes or refuses the factory password is a module of this family.
 * Our own password is not shown to a device that may be anything. Undefined if nothing fit answers.
 */
export async function greet(line: Line, clock: Clock): Promise<Exchange | undefined> {
  const exchange = new Exchange(line, clock);
  for (let tries = 0; tries < 2; tries++) {
    try {
      await exchange.send(verifyPassword(secretBytes(4)));
      return exchange;
    } catch (error) {
      if (!isDisturbance(error)) throw error;
      if (error.code === "SENSOR_LOCKED") return exchange;
      // Noise, or its 55h just now, deserves another try; silence at this rate is an answer.
      if (error instanceof SensorError && error.code === "SENSOR_SILENT") return undefined;
    }
  }
  return undefined;
}

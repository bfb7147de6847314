import { ShardkeepError } from "../../agent/runtime/errors.ts";

export type SensorErrorCode =
  /** No line, or nothing on it that answers as a sensor. */
  | "SENSOR_ABSENT"
  /** It answers, but this box has not paired it. */
  | "SENSOR_UNPAIRED"
  /** It is not the sensor that this box paired. */
  | "SENSOR_FOREIGN"
  /** It wants a password that this box does not have, or that it no longer takes. */
  | "SENSOR_LOCKED"
  | "SENSOR_PAIRED_ELSEWHERE"
  /** Its security level is below the configured one. */
  | "SENSOR_LEVEL_LOWERED"
  /** It reports a defect of its own. */
  | "SENSOR_FAULT"
  /** Another prompt or enrolment is being served. */
  | "SENSOR_BUSY"
  /** A reply did not come in time. */
  | "SENSOR_SILENT"
  /** What came was damaged, doubled, unasked or endless. */
  | "SENSOR_GARBLED"
  /** It sent 55h unasked: re-powered, reset or swapped. */
  | "SENSOR_RESTARTED"
  /** It answered in order, with a code that ends the operation. */
  | "SENSOR_REFUSED"
  | "SLOT_EMPTY"
  | "SLOT_TAKEN"
  | "SLOT_INVALID"
  | "TEMPLATE_INVALID"
  | "ENROL_FAILED"
  | "PAIRING_FILE_DAMAGED";

export class SensorError extends ShardkeepError<SensorErrorCode> {}

/** Errors of the line rather than of the sensor's mind: whatever was under way is dropped and asked again. */
const disturbances: ReadonlySet<string> = new Set<SensorErrorCode>(["SENSOR_SILENT", "SENSOR_GARBLED", "SENSOR_RESTARTED", "SENSOR_LOCKED"]);

export function isDisturbance(error: unknown): error is SensorError {
  return error instanceof SensorError && disturbances.has(error.code);
}

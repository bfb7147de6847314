import { ShardkeepError } from "../../agent/runtime/errors.ts";

export type SerialErrorCode =
  /** The path is missing, in use or not a serial line. */
  | "SERIAL_OPEN_FAILED"
  /** The line went away, or was closed. */
  | "SERIAL_LOST"
  | "SERIAL_WRITE_TIMEOUT"
  /** The line is a pseudo-terminal, and the configuration does not allow emulated devices. */
  | "EMULATED_REFUSED"
  /** No candidate answered the handshake. */
  | "DEVICE_NOT_FOUND"
  /** More than one did. */
  | "DEVICE_AMBIGUOUS";

export class SerialError extends ShardkeepError<SerialErrorCode> {}

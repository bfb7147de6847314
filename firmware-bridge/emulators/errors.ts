import { ShardkeepError } from "../../agent/runtime/errors.ts";

export type EmulatorCode =
  | "PTY_FAILED" | "STATE_DAMAGED" | "FIRMWARE_DAMAGED" | "UNKNOWN_PROFILE" | "USAGE"
  | "CONTROL_UNREACHABLE" | "CONTROL_CLOSED" | "CONTROL_BAD_REQUEST" | "CONTROL_BAD_REPLY" | "NOT_PLUGGED" | "SLOT_EMPTY";

/** What can go wrong around an emulated device. What goes wrong *inside* it goes over its line, as in the real one. */
export class EmulatorError extends ShardkeepError<EmulatorCode> {}

import { ShardkeepError } from "../../agent/runtime/errors.ts";

export type PanelErrorCode =
  /** No panel is connected, or none is configured. */
  | "PANEL_ABSENT"
  /** It did not answer in time. */
  | "PANEL_SILENT"
  /** Stock firmware: it has no latch that could be cleared. */
  | "PANEL_NO_LATCH"
  | "PANEL_NO_DISPLAY"
  /** The counter is not the present one: something happened since it was read. */
  | "TAMPER_STALE"
  | "LID_OPEN";

export class PanelError extends ShardkeepError<PanelErrorCode> {}

import { z } from "zod";
import { refusal } from "../control-line.ts";

/** What may be asked of an emulated panel over its control socket: JSON lines, each answered by one line. */
const simple = <Name extends string>(cmd: Name) => z.strictObject({ cmd: z.literal(cmd) });
const byte = z.int().min(0).max(255);
const end = z.enum(["host", "panel"]);

export const panelRequest = z.discriminatedUnion("cmd", [
  z.strictObject({ cmd: z.literal("lid"), to: z.enum(["open", "closed"]) }),
  z.strictObject({ cmd: z.literal("button"), to: z.enum(["pressed", "released"]) }),
  z.strictObject({ cmd: z.literal("cell"), to: z.enum(["on", "off"]) }),
  simple("state"), simple("unplug"), simple("replug"),
  /** Supply and cell at once; what the EEPROM has stays. */
  simple("cut"),
  /** Brown-out: the controller starts anew, the line stays. */
  simple("reset"),
  /** Bytes that nobody sent arrive at one end. */
  z.strictObject({ cmd: z.literal("noise"), to: end, bytes: z.array(byte).min(1).max(4096) }),
  /** The next bytes to one end are lost. */
  z.strictObject({ cmd: z.literal("lose"), to: end, count: z.int().min(1).max(1_000_000) }),
]);
export type PanelRequest = z.output<typeof panelRequest>;

const shown = z.strictObject({ ms: z.number(), light: z.string(), buzzer: z.boolean() });
export type Shown = z.infer<typeof shown>;

export const panelState = z.strictObject({
  plugged: z.boolean(),
  powered: z.boolean(),
  /** On the coin cell, in power-down. */
  asleep: z.boolean(),
  lid: z.enum(["open", "closed"]),
  button: z.enum(["pressed", "released"]),
  cell: z.boolean(),
  light: z.string(),
  buzzer: z.boolean(),
  /** null: no display, or it is off. */
  display: z.tuple([z.string(), z.string()]).nullable(),
  /** The latest changes of light and buzzer, with their time in ms of the emulator. */
  shown: z.array(shown),
});
export type PanelState = z.infer<typeof panelState>;

export const panelReply = z.union([
  z.strictObject({ ok: z.literal(true), state: panelState.optional(), pty: z.string().optional() }),
  refusal,
]);
export type PanelReply = z.infer<typeof panelReply>;

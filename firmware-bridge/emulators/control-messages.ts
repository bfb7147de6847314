import { z } from "zod";
import { refusal } from "./control-line.ts";
import { fault } from "./sensor/faults/fault.ts";

/** What may be asked of an emulated sensor over its control socket: JSON lines, each answered by one line. */
const finger = z.string().min(1).max(100);
const forMs = z.int().min(1).max(600_000).optional();
const quality = z.int().min(0).max(100).optional();
const simple = <Name extends string>(cmd: Name) => z.strictObject({ cmd: z.literal(cmd) });

/** `{"cmd":"fault","name":…}` with the settings of that fault beside it. */
const faultRequest = z.looseObject({ cmd: z.literal("fault") }).transform(({ cmd, ...settings }, context) => {
  const parsed = fault.safeParse(settings);
  if (parsed.success) return { cmd, fault: parsed.data };
  for (const { path, message } of parsed.error.issues) context.addIssue({ code: "custom", path, message });
  return z.NEVER;
});

export const requestSchema = z.discriminatedUnion("cmd", [
  z.strictObject({ cmd: z.literal("touch"), finger, quality, forMs }),
  z.strictObject({ cmd: z.literal("press"), finger, quality, forMs }),
  simple("lift"), simple("state"), simple("unplug"), simple("replug"), simple("swap"), simple("clear-faults"), faultRequest,
  z.strictObject({ cmd: z.literal("power"), to: z.enum(["off", "on", "cycle"]) }),
]);
export type Request = z.output<typeof requestSchema>;

export const stateSchema = z.strictObject({
  profile: z.string(),
  serial: z.string(),
  plugged: z.boolean(),
  powered: z.boolean(),
  /** Whether a foreign module is in the place of the own one. */
  swapped: z.boolean(),
  finger: z.string().nullable(),
  templates: z.int(),
  verified: z.boolean(),
  light: z.strictObject({ effect: z.string(), colour: z.string(), speed: z.int(), count: z.int() }),
  /** Commands heard, by opcode in two hex digits. */
  commands: z.record(z.string(), z.int()),
  /** Faults that are still to come. */
  faults: z.array(z.string()),
});
export type SensorState = z.infer<typeof stateSchema>;

export const replySchema = z.union([
  z.strictObject({ ok: z.literal(true), state: stateSchema.optional(), pty: z.string().optional() }),
  refusal,
]);
export type Reply = z.infer<typeof replySchema>;

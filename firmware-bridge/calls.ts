import { z } from "zod";
import { bytes, exactly } from "../agent/runtime/ipc.ts";
import { lightStates, sensorStates } from "./biometrics/sensor.ts";
import { panelStates } from "./panel/states.ts";

/** The calls of the firmware-bridge process, parsed on both sides of its IPC channel. */

const slot = z.number().int().min(0).max(0xfffe);
const timeoutMs = z.number().int().min(1).max(600_000);
const digestPrefix = bytes(1024);
const digest = exactly(32);
const template = bytes(4096);

export const sensorStatus = z.strictObject({
  state: z.enum(sensorStates),
  /** A pseudo-terminal stands where the sensor's line should be. */
  emulated: z.boolean(),
  model: z.string().optional(),
  serial: z.string().optional(),
  capacity: z.number().int().optional(),
  templates: z.number().int().optional(),
  /** Why it is not ready: `CODE: text`. */
  detail: z.string().optional(),
});
export type SensorStatus = z.infer<typeof sensorStatus>;

export const enrolStep = z.strictObject({
  step: z.enum(["touch", "lift", "captured"]),
  n: z.number().int(),
  of: z.number().int(),
});
export type EnrolStep = z.infer<typeof enrolStep>;

/** `digest` = SHA-256(digestPrefix ‖ template). */
const knownFinger = z.strictObject({ slot, digestPrefix, digest });

const identification = z.discriminatedUnion("outcome", [
  z.strictObject({ outcome: z.literal("matched"), slot, score: z.number().int(), digest, emulated: z.boolean() }),
  z.strictObject({ outcome: z.literal("refused"), reason: z.enum(["unknown-finger", "template-changed", "poor-image"]) }),
  z.strictObject({ outcome: z.literal("timeout") }),
  z.strictObject({ outcome: z.literal("cancelled") }),
]);
export type Identification = z.infer<typeof identification>;
export type Matched = Extract<Identification, { outcome: "matched" }>;

const u32 = z.number().int().min(0).max(0xffffffff);

/** `none`: none is configured. The fields below `detail` are there when it is ready; `PanelFacts` says what they mean. */
export const panelStatus = z.strictObject({
  state: z.enum(["ready", "absent", "fault", "none"]),
  emulated: z.boolean(),
  /** Why it is not ready: `CODE: text`. */
  detail: z.string().optional(),
  firmware: z.string().optional(),
  latch: z.boolean().optional(),
  serial: z.string().nullable().optional(),
  display: z.boolean().optional(),
  tamper: z.strictObject({
    open: z.boolean(), latched: z.boolean(), damaged: z.boolean(), counter: u32, unwatched: z.strictObject({ from: u32, to: u32 }).nullable(),
  }).optional(),
  button: z.boolean().optional(),
});
export type PanelStatus = z.infer<typeof panelStatus>;

const nothing = z.strictObject({});
const done = z.null();

export const sensorCalls = {
  status: { args: nothing, result: sensorStatus },
  pair: { args: nothing, result: sensorStatus },
  unpair: { args: nothing, result: sensorStatus },
  identify: {
    args: z.strictObject({ prompt: z.string().min(1).max(128), timeoutMs, fingers: z.array(knownFinger).max(4096) }),
    result: identification,
  },
  cancel: { args: z.strictObject({ prompt: z.string() }), result: done },
  enrol: {
    args: z.strictObject({ slot: slot.optional(), taken: z.array(slot).max(4096).optional(), digestPrefix, timeoutMs }),
    result: z.strictObject({ slot, digest, emulated: z.boolean() }),
  },
  exportTemplate: { args: z.strictObject({ slot }), result: template },
  importTemplate: { args: z.strictObject({ slot, template }), result: done },
  remove: { args: z.strictObject({ slot }), result: done },
  light: { args: z.strictObject({ state: z.enum(lightStates) }), result: done },
} as const;
export type SensorCalls = typeof sensorCalls;

export const panelCalls = {
  panel: { args: nothing, result: panelStatus },
  show: { args: z.strictObject({ state: z.enum(panelStates) }), result: done },
  print: { args: z.strictObject({ lines: z.array(z.string().max(64)).max(2) }), result: done },
  clearTamper: { args: z.strictObject({ counter: u32 }), result: panelStatus },
} as const;
export type PanelCalls = typeof panelCalls;

export const bridgeCalls = { ...sensorCalls, ...panelCalls } as const;
export type BridgeCalls = typeof bridgeCalls;

/** What `cancel` names to end an enrolment. */
export const enrolPrompt = "enrol";

/** Of its own accord the process says `sensor` and `panel` (a status, when it changed) and `enrol` (an enrolment's next step). */
export const bridgeEvents = { sensor: sensorStatus, panel: panelStatus, enrol: enrolStep } as const;

/** The process's whole configuration, as JSON in its first argument: nothing in it is secret. */
export const bridgeConfig = z.strictObject({
  sensor: z.strictObject({
    /** A device, best by its /dev/serial/by-id name, or `auto`: the only one that answers as a sensor. */
    path: z.string().min(1),
    /** For tests and the demo: takes a pseudo-terminal for a sensor. Default false. */
    allowEmulated: z.boolean().default(false),
    /** Pairing secrets, mode 0600; its folder must exist. */
    stateFile: z.string().min(1),
    /** 1..5, least that is accepted; default 4. */
    securityLevel: z.number().int().min(1).max(5).default(4),
  }),
  /** Default: no panel. */
  panel: z.strictObject({
    /** A device, best by its udev name, or `auto`: the only one that answers as a panel. */
    path: z.string().min(1),
    allowEmulated: z.boolean().default(false),
  }).nullable().default(null),
});
export type BridgeConfig = z.input<typeof bridgeConfig>;

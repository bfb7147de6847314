import { z } from "zod";

/** What can be made to go wrong (hardware/fingerprint.md §8). Times default to once unless it says otherwise. */
const affects = {
  /** How many replies it spoils before it is gone. */
  times: z.int().positive().optional(),
  /** Only replies to this command; any if absent. */
  opcode: z.int().min(0).max(0xff).optional(),
};
const at = z.int().nonnegative();
const packet = z.int().nonnegative().default(0);
const slot = z.int().min(0).max(0xffff);
const finger = z.string().min(1).max(64);

/** Faults of the reply's bytes. `at` counts from the first byte of the ack on; `packet` 0 is the ack, 1 the first data packet. */
const wireFaults = [
  z.strictObject({ name: z.literal("drop-byte"), at, ...affects }),
  z.strictObject({ name: z.literal("flip-byte"), at, ...affects }),
  z.strictObject({ name: z.literal("insert-byte"), at, byte: z.int().min(0).max(0xff).default(0), ...affects }),
  z.strictObject({ name: z.literal("stray-bytes"), bytes: z.array(z.int().min(0).max(0xff)).min(1).max(512), ...affects }),
  /** Two writes with a pause between; without `at`, every byte alone. */
  z.strictObject({ name: z.literal("split"), at: at.optional(), pauseMs: z.int().nonnegative().max(10_000).default(5), ...affects }),
  z.strictObject({ name: z.literal("bad-checksum"), packet, ...affects }),
  z.strictObject({ name: z.literal("bad-length"), packet, length: z.int().min(0).max(0xffff), ...affects }),
  z.strictObject({ name: z.literal("wrong-pid"), packet, pid: z.int().min(0).max(0xff).default(0x03), ...affects }),
  z.strictObject({ name: z.literal("wrong-address"), packet, ...affects }),
  z.strictObject({ name: z.literal("late"), ms: z.int().positive().max(600_000), ...affects }),
  z.strictObject({ name: z.literal("silent"), ...affects }),
  z.strictObject({ name: z.literal("double"), ...affects }),
  z.strictObject({ name: z.literal("previous"), ...affects }),
  /** Zero-filled 02 packets until the next command (Q12). */
  z.strictObject({ name: z.literal("endless-data"), ...affects }),
  z.strictObject({ name: z.literal("missing-end"), ...affects }),
  z.strictObject({ name: z.literal("short-last"), ...affects }),
] as const;

/** Faults of what the module decides; the last two are attackers and stay until cleared. */
const answerFaults = [
  /** Any confirmation code instead of doing the command. */
  z.strictObject({ name: z.literal("answer"), ...affects, opcode: z.int().min(0).max(0xff), code: z.int().min(0).max(0xff) }),
  z.strictObject({ name: z.literal("flash-error"), ...affects }),
  z.strictObject({ name: z.literal("accept-any-password"), times: affects.times }),
  /** Says with no finger there what it said at the last match. */
  z.strictObject({ name: z.literal("replay-match"), times: affects.times }),
] as const;

/** Host and module at different rates: nothing is understood, until cleared. */
const baudMismatch = z.strictObject({ name: z.literal("baud-mismatch") });

/** What happens at once and has no end to wait for. */
const incidents = [
  z.strictObject({ name: z.literal("unsolicited-55") }),
  z.strictObject({ name: z.literal("silent-repower") }),
  z.strictObject({ name: z.literal("substitute-template"), slot, finger }),
  z.strictObject({ name: z.literal("move-template"), from: slot, to: slot }),
  z.strictObject({ name: z.literal("lower-security"), level: z.int().min(1).max(5).default(1) }),
] as const;

export const fault = z.discriminatedUnion("name", [...wireFaults, ...answerFaults, baudMismatch, ...incidents]);
export type Fault = z.output<typeof fault>;
/** With defaults left out. */
export type FaultRequest = z.input<typeof fault>;
export type WireFault = z.output<(typeof wireFaults)[number]>;
export type AnswerFault = z.output<(typeof answerFaults)[number]>;
export type Incident = z.output<(typeof incidents)[number]>;

const incidentNames: ReadonlySet<string> = new Set(incidents.map((schema) => schema.shape.name.value));
const wireNames: ReadonlySet<string> = new Set(wireFaults.map((schema) => schema.shape.name.value));
const answerNames: ReadonlySet<string> = new Set(answerFaults.map((schema) => schema.shape.name.value));

export function isIncident(candidate: Fault): candidate is Incident {
  return incidentNames.has(candidate.name);
}
export function isWireFault(candidate: Fault): candidate is WireFault {
  return wireNames.has(candidate.name);
}
export function isAnswerFault(candidate: Fault): candidate is AnswerFault {
  return answerNames.has(candidate.name);
}

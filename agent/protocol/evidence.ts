import { z } from "zod";
import { hash, id, label, random128 } from "./primitives.ts";
import { canonical } from "./canonical.ts";
import { statement } from "./statement.ts";

/**
 * A box's signed statement that this person's finger was matched here for this request
 * (RFC 9334 evidence; protocol.md §3). Signed by the identity key in the box's HSM.
 */
export const evidenceBody = z.strictObject({
  digest: hash,
  boot: random128,
  person: id,
  finger: label,
  template: hash,
  modality: z.enum(["fingerprint"]),
  /** A: signed inside the reader, B: matched inside the reader, C: matched in software. */
  class: z.enum(["A", "B", "C"]),
  score: z.int().min(0).max(65535),
  /** What showed requester, operation, resource and code to the person who touched. */
  display: z.enum(["none", "console", "lcd"]),
  confirm: z.enum(["none", "code", "button"]),
  /** `emulated` for a sensor on a pseudo-terminal: no real finger was measured. */
  sensor: z.enum(["device", "emulated"]),
});
export const evidence = statement("evidence", evidenceBody);
export type Evidence = z.infer<typeof evidence>;

/** A box's signed report of an enrolment, for the site record. */
export const enrolledBody = z.strictObject({ person: id, finger: label, slot: z.int().min(0).max(4095), template: hash });
export const enrolled = statement("enrolled", enrolledBody);
export type Enrolled = z.infer<typeof enrolled>;

/** What is hashed before a template: the same finger gives another digest on another site or for another person. */
export function templatePrefix(site: string, person: string, finger: string): Uint8Array {
  return canonical("template", site, { person, finger });
}

import type { z } from "zod";
import type { boxRequests } from "../protocol/messages.ts";
import { templatePrefix, type Enrolled } from "../protocol/evidence.ts";
import { signStatement } from "../protocol/statement.ts";
import { Refusal } from "../rules/refusal.ts";
import { toBase64url } from "../runtime/encoding.ts";
import type { BoxParts } from "./parts.ts";

type Progress = z.infer<typeof boxRequests.enrol.part>;

const touchesMs = 60_000;

/**
 * Enrolment at this box's sensor. The box itself refuses it once the record is sealed: a template that no
 * evidence asked for would be a person nobody let in.
 */
export async function enrol(parts: BoxParts, person: string, finger: string, onProgress: (part: Progress) => void): Promise<{ enrolled: Enrolled; sensor: "device" | "emulated" }> {
  const { records, bridge, hsm, site, box } = parts;
  requireUnsealed(parts);
  const taken = records.current.body.people.flatMap((one) => one.fingers.filter((known) => known.box === box));
  const result = await bridge.enrol({ digestPrefix: templatePrefix(site, person, finger), timeoutMs: touchesMs, taken: taken.map(({ slot }) => slot) }, onProgress);
  const body = { person, finger, slot: result.slot, template: toBase64url(result.digest) };
  const enrolled = await signStatement({ sign: (message) => hsm.sign("identity", message) }, "enrolled", site, box, body);
  return { enrolled, sensor: result.emulated ? "emulated" : "device" };
}

/** Removes a finger of a person from this sensor; one that is not there is removed already. */
export async function unenrol(parts: BoxParts, person: string, finger: string): Promise<void> {
  requireUnsealed(parts);
  const known = parts.records.current.body.people.find((one) => one.id === person)?.fingers
    .find((one) => one.box === parts.box && one.name === finger);
  if (known !== undefined) await parts.bridge.remove({ slot: known.slot });
}

function requireUnsealed({ records }: BoxParts): void {
  if (records.current.body.sealed) throw new Refusal("NOT_PERMITTED", "the site record is sealed: people change only with the fingers that rule `record` asks for, which this version cannot collect");
}

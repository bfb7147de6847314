import { fingerprintOf } from "../runtime/fingerprint.ts";
import type { Recovery, Rule, SiteRecordBody } from "../protocol/site-record.ts";

/** A rule in one line: who may approve what. */
export function ruleLine(rule: Rule): string {
  const who = rule.require.map((one) => ("role" in one ? `${one.people} × ${one.role}` : one.person)).join(" + ");
  const where = rule.distinctBoxes ? ", each at another box" : "";
  return `${rule.key} ${rule.resource}: ${rule.operations.join(", ")} need ${who}${where}; requester ${rule.requester}, confirm ${rule.confirm}${rule.limit === undefined ? "" : `, at most ${rule.limit}`}`;
}

/** Who may recover the site, and how long every box then still goes by the version before. */
export function recoveryLine({ key, delayMs }: Recovery): string {
  const hours = delayMs / 3_600_000;
  return `${fingerprintOf(key)}, in force after ${Number.isInteger(hours) ? `${hours} h` : `${delayMs / 1000} s`} of each box's own running time`;
}

/** Everything in which two versions can differ, each as a list of lines that stand or fall by themselves. */
function linesOf(body: SiteRecordBody): Readonly<Record<string, readonly string[]>> {
  return {
    authority: [body.authority], "TLS authority": [body.tlsAuthority],
    coordinator: [`${body.coordinator.id}, key ${fingerprintOf(body.coordinator.key)}`],
    box: body.boxes.map(({ id, zone, key }) => `${id} in ${zone}, key ${fingerprintOf(key)}`),
    "back from quarantine": body.boxes.flatMap(({ id, readmitted }) => (readmitted === undefined ? [] : [`${id} with version ${readmitted}`])),
    role: body.roles,
    person: body.people.map(({ id, roles }) => `${id}: ${roles.join(", ") || "no role"}`),
    finger: body.people.flatMap(({ id, fingers }) => fingers.map(({ name, box, slot, template }) => `${name} of ${id} at ${box}, slot ${slot}, template ${template}`)),
    client: body.clients.map(({ id, key, person, admin }) => `${id}${person === undefined ? "" : ` for ${person}`}${admin ? ", administrator" : ""}, key ${fingerprintOf(key)}`),
    rule: body.rules.map(ruleLine),
    "limit of zones": body.noZoneHoldsThreshold === true ? ["no zone holds a threshold of any key's shards"] : [],
    "retired name": body.retired ?? [],
    "recovery key": body.recovery === undefined ? [] : [recoveryLine(body.recovery)],
    seal: body.sealed ? ["sealed"] : [],
  };
}

/**
 * What a person approves who approves this step: one line for all that goes (`-`) and comes (`+`). What is changed
 * goes and comes. Empty if the versions say the same.
 */
export function changesInWords(before: SiteRecordBody, after: SiteRecordBody): string[] {
  const [old, next] = [linesOf(before), linesOf(after)];
  return Object.keys(old).flatMap((what) => {
    const [gone, come] = [minus(old[what] ?? [], next[what] ?? []), minus(next[what] ?? [], old[what] ?? [])];
    const lines = [...gone.map((line) => `- ${what} ${line}`), ...come.map((line) => `+ ${what} ${line}`)];
    // The first rule that fits governs: their order is what they say.
    const isMoved = lines.length === 0 && (old[what] ?? []).join("\n") !== (next[what] ?? []).join("\n");
    return isMoved ? [`~ ${what}s in another order: ${(next[what] ?? []).join(" | ")}`] : lines;
  });
}

function minus(lines: readonly string[], others: readonly string[]): string[] {
  const left = [...others];
  return lines.filter((line) => {
    const at = left.indexOf(line);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

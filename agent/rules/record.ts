import { ShardkeepError } from "../runtime/errors.ts";
import type { SiteRecord, SiteRecordBody } from "../protocol/site-record.ts";
import { statementHash, verifyStatement } from "../protocol/statement.ts";
import { mostPeople } from "./policy.ts";

export class RecordError extends ShardkeepError<
  "RECORD_INVALID" | "RECORD_FORGED" | "RECORD_GAP" | "RECORD_FORK" | "RECORD_OLD" | "RECORD_SEALED"
> {}

/** What the schema cannot say: names that are taken twice or do not exist. All problems at once. */
export function recordProblems(record: SiteRecordBody): string[] {
  const problems: string[] = [];
  const twice = (what: string, names: readonly string[]): void => {
    for (const name of new Set(names.filter((one, i) => names.indexOf(one) !== i))) problems.push(`${what} ${name} stands twice`);
  };
  twice("id", [record.coordinator.id, ...record.boxes.map((box) => box.id), ...record.clients.map((client) => client.id)]);
  twice("identity key", [record.coordinator.key, ...record.boxes.map((box) => box.key), ...record.clients.map((client) => client.key)]);
  twice("person", record.people.map((person) => person.id));
  twice("role", record.roles);
  const people = new Set(record.people.map((person) => person.id));
  const boxes = new Set(record.boxes.map((box) => box.id));
  const roles = new Set(record.roles);
  for (const person of record.people) {
    for (const role of person.roles) if (!roles.has(role)) problems.push(`person ${person.id} has the unknown role ${role}`);
    for (const finger of person.fingers) if (!boxes.has(finger.box)) problems.push(`a finger of ${person.id} is at the unknown box ${finger.box}`);
    twice(`finger of ${person.id}`, person.fingers.map(({ name, box }) => `${name} at ${box}`));
  }
  twice("sensor slot", record.people.flatMap((person) => person.fingers.map(({ box, slot }) => `${box}/${slot}`)));
  for (const client of record.clients) if (client.person !== undefined && !people.has(client.person)) problems.push(`client ${client.id} acts for the unknown person ${client.person}`);
  for (const [i, rule] of record.rules.entries()) {
    let wanted = 0;
    for (const requirement of rule.require) {
      wanted += "role" in requirement ? requirement.people : 1;
      if ("role" in requirement && !roles.has(requirement.role)) problems.push(`rule ${i + 1} (${rule.key}) asks for the unknown role ${requirement.role}`);
      if ("person" in requirement && !people.has(requirement.person)) problems.push(`rule ${i + 1} (${rule.key}) asks for the unknown person ${requirement.person}`);
    }
    if (wanted > mostPeople) problems.push(`rule ${i + 1} (${rule.key}) asks for more than ${mostPeople} people`);
  }
  return problems;
}

/**
 * Whether `next` may follow `current` (protocol.md §2). Before `sealed` the authority alone changes the
 * record; a sealed record changes by people's evidence only, which no version of this software can carry
 * yet, so it is refused by name. Throws {@link RecordError}; nothing is changed.
 */
export function checkSuccessor(current: SiteRecord, next: SiteRecord): void {
  const { body } = next;
  if (!verifyStatement(next, current.site, current.body.authority) || next.by !== current.by) {
    throw new RecordError("RECORD_FORGED", `version ${body.version} of the site record is not signed by the site authority`);
  }
  if (body.version === current.body.version && statementHash(next) !== statementHash(current)) {
    throw new RecordError("RECORD_FORK", `the authority signed two different versions ${body.version} of the site record`, { remedy: "treat the authority's key as stolen: docs/threat-model.md" });
  }
  if (body.version <= current.body.version) throw new RecordError("RECORD_OLD", `version ${body.version} is not newer than ${current.body.version}`);
  if (body.version !== current.body.version + 1 || body.previous !== statementHash(current)) {
    throw new RecordError("RECORD_GAP", `version ${body.version} does not follow version ${current.body.version}`, { retryable: true });
  }
  if (body.authority !== current.body.authority) throw new RecordError("RECORD_FORGED", "the site authority's key cannot change");
  if (current.body.sealed) {
    throw new RecordError("RECORD_SEALED", "the site record is sealed: it changes only with the fingers that rule `record` asks for, which this version cannot collect", { remedy: "settle boxes, people and rules before `shardkeep site seal`" });
  }
  const problems = recordProblems(body);
  if (problems.length > 0) throw new RecordError("RECORD_INVALID", `the site record has ${problems.length} problem(s)\n  ${problems.join("\n  ")}`, { remedy: "edit the policy file and apply it again" });
}

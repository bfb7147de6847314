import { ShardkeepError } from "../runtime/errors.ts";
import { isOfRecord, recordTarget } from "../protocol/request.ts";
import { recordHashOf, type Rule, type SiteRecord, type SiteRecordBody } from "../protocol/site-record.ts";
import { statementHash } from "../protocol/statement.ts";
import { fits, mayAttest, mostPeople, ruleFor, slotsOf } from "./policy.ts";

export class RecordError extends ShardkeepError<
  "RECORD_INVALID" | "RECORD_FORGED" | "RECORD_GAP" | "RECORD_FORK" | "RECORD_OLD" | "RECORD_SEALED" | "RECORD_UNCHANGEABLE" | "RECORD_NOT_APPROVED"
  | "RECORD_NOT_RECOVERABLE" | "RECORD_RECOVERY_FORGED" | "RECORD_RECOVERY_TOO_WIDE" | "RECORD_RECOVERY_PENDING"
> {}

/** What the schema cannot say: names that are taken twice or do not exist. All problems at once. */
export function recordProblems(record: SiteRecordBody): string[] {
  const problems: string[] = [];
  const twice = (what: string, names: readonly string[]): void => {
    for (const name of new Set(names.filter((one, i) => names.indexOf(one) !== i))) problems.push(`${what} ${name} stands twice`);
  };
  twice("id", [record.coordinator.id, ...record.boxes.map((box) => box.id), ...record.clients.map((client) => client.id), ...record.retired ?? []]);
  twice("identity key", [record.coordinator.key, ...record.boxes.map((box) => box.key), ...record.clients.map((client) => client.key)]);
  // Kept by custodians, it is nobody's who is on the network (protocol.md §2).
  if (record.recovery !== undefined && [record.authority, record.coordinator.key, ...[...record.boxes, ...record.clients].map(({ key }) => key)].includes(record.recovery.key)) problems.push("the recovery key is somebody's identity key");
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
    for (const operation of rule.operations.filter(isOfRecord)) {
      if (rule.key !== recordTarget.key || rule.limit !== undefined) problems.push(`rule ${i + 1} (${rule.key}): \`${operation}\` is asked of key ${recordTarget.key}, and without a limit`);
    }
    if (wanted > mostPeople) problems.push(`rule ${i + 1} (${rule.key}) asks for more than ${mostPeople} people`);
  }
  return problems;
}

/** Whether enough people are enrolled, at enough boxes, that this rule can be met. Counted, not tried: it may say yes to a very odd site. */
function canBeMet(record: SiteRecordBody, rule: Rule): boolean {
  const able = record.people.filter(({ fingers }) => fingers.length > 0);
  const boxes = new Set(able.flatMap((person) => (mayAttest(record, rule, undefined, person.id) ? person.fingers.map(({ box }) => box) : [])));
  const slots = slotsOf(rule);
  if (rule.distinctBoxes && boxes.size < slots.length) return false;
  const taken = new Map<string, number>();
  /** Finds a person for this slot; one who is taken moves to another slot if that has somebody else. */
  const fill = (slot: number, seen: Set<string>): boolean => able.some(({ id }) => {
    const requirement = slots[slot];
    if (requirement === undefined || seen.has(id) || !fits(record, requirement, id)) return false;
    seen.add(id);
    const other = taken.get(id);
    if (other !== undefined && !fill(other, seen)) return false;
    taken.set(id, slot);
    return true;
  });
  return slots.every((_, slot) => fill(slot, new Set()));
}

/** Whether the people in this record, through a client that may ask for it, could change it: one that is sealed without that stays as it is for ever. */
export function isChangeable(record: SiteRecordBody): boolean {
  const rule = ruleFor(record, recordTarget.key, "record", recordTarget.resource);
  return rule !== undefined && canBeMet(record, rule) && record.clients.some(({ admin }) => admin);
}

/** Whether `body` is the very next version after `current`, under the same authority. Throws {@link RecordError}. */
export function checkPlace(current: SiteRecord, body: SiteRecordBody): void {
  const { version } = current.body;
  if (body.version === version && recordHashOf(current, body) !== statementHash(current)) {
    throw new RecordError("RECORD_FORK", `the authority signed two different versions ${version} of the site record`, { remedy: "treat the authority's key as stolen: docs/threat-model.md" });
  }
  if (body.version <= version) throw new RecordError("RECORD_OLD", `version ${body.version} is not newer than ${version}`);
  if (body.version !== version + 1 || body.previous !== statementHash(current)) {
    throw new RecordError("RECORD_GAP", `version ${body.version} does not follow version ${version}`, { retryable: true });
  }
  if (body.authority !== current.body.authority) throw new RecordError("RECORD_FORGED", "the site authority's key cannot change");
}

/** What no approval makes good: contradictions, a seal that is taken off, a record that nobody could change again. Throws {@link RecordError}. */
export function checkContent(current: SiteRecord, body: SiteRecordBody): void {
  if (current.body.sealed && !body.sealed) throw new RecordError("RECORD_SEALED", "a sealed site record stays sealed");
  const problems = [...recordProblems(body), ...readmissionProblems(current.body, body), ...nameProblems(current.body, body)];
  if (problems.length > 0) throw new RecordError("RECORD_INVALID", `the site record has ${problems.length} problem(s)\n  ${problems.join("\n  ")}`, { remedy: "edit the policy file and apply it again" });
  if (current.body.sealed && !isChangeable(body)) {
    throw new RecordError("RECORD_UNCHANGEABLE", `nobody could change the site record after version ${body.version}: its rule \`record\` is gone, or cannot be met by those who are enrolled, or no client is an administrator`, { remedy: "leave a rule {key: site, operations: [record]} that people in the record can meet" });
  }
}

/** A name means one key for ever: key records, evidence and shards of long ago go by it. */
function nameProblems(current: SiteRecordBody, next: SiteRecordBody): string[] {
  const named = ({ boxes, clients }: SiteRecordBody): Map<string, string> => new Map([...boxes, ...clients].map(({ id, key }) => [id, key]));
  const keys = named(next);
  const retired = new Set(next.retired);
  return [
    ...[...named(current)].flatMap(([id, key]) => (keys.has(id) ? keys.get(id) === key ? [] : [`${id} gets another key`] : retired.has(id) ? [] : [`${id} leaves and is not named as retired`])),
    ...(current.retired ?? []).filter((id) => !retired.has(id)).map((id) => `${id} is retired no more`),
  ];
}

/** A box is readmitted by the version that says so: said ahead, it would lift quarantines that are still to come. */
function readmissionProblems(current: SiteRecordBody, next: SiteRecordBody): string[] {
  return next.boxes.filter(({ id, readmitted }) => readmitted !== next.version && readmitted !== current.boxes.find((box) => box.id === id)?.readmitted)
    .map(({ id }) => `box ${id} is readmitted by another version than this`);
}

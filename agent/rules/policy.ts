import type { Operation, Rule, SiteRecordBody } from "../protocol/site-record.ts";
import { Refusal } from "./refusal.ts";

/** One finger that was matched at one box. */
export interface Attestation {
  readonly box: string;
  readonly person: string;
}

export type Decision =
  | { readonly allowed: true; readonly used: readonly Attestation[] }
  | { readonly allowed: false; readonly still: string };

/** Matches `resource` against a pattern: `*` is one segment, a last `**` any rest, also none. */
export function matchesResource(pattern: string, resource: string): boolean {
  const wanted = pattern.split("/");
  const given = resource.split("/");
  const open = wanted.at(-1) === "**";
  if (open) wanted.pop();
  return (open ? given.length >= wanted.length : given.length === wanted.length)
    && wanted.every((segment, i) => segment === "*" || segment === given[i]);
}

/** The first rule that names key, operation and resource governs; none means no (design §8). */
export function ruleFor(record: SiteRecordBody, key: string, operation: Operation, resource: string): Rule | undefined {
  return record.rules.find((rule) => rule.key === key && rule.operations.includes(operation) && matchesResource(rule.resource, resource));
}

type Requirement = Rule["require"][number];

export function fits(record: SiteRecordBody, requirement: Requirement, person: string): boolean {
  if ("person" in requirement) return requirement.person === person;
  return record.people.some((known) => known.id === person && known.roles.includes(requirement.role));
}

/** Whether this client may ask for a change of the site. Throws NOT_PERMITTED. */
export function requireAdmin(record: SiteRecordBody, client: string): void {
  if (!record.clients.some(({ id, admin }) => id === client && admin)) throw new Refusal("NOT_PERMITTED", `${client} is no administrator of this site`);
}

/** One slot a person that the rule wants. */
export function slotsOf(rule: Rule): Requirement[] {
  return rule.require.flatMap((requirement) => Array.from({ length: "role" in requirement ? requirement.people : 1 }, () => requirement));
}

/** Whether this person's finger can count towards the rule at all. */
export function mayAttest(record: SiteRecordBody, rule: Rule, requester: string | undefined, person: string): boolean {
  if (rule.requester === "never" && person === requester) return false;
  return rule.require.some((requirement) => fits(record, requirement, person));
}

/** A bound on the search below: a request carries no more evidence (messages.ts), a rule asks for no more people. */
export const mostPeople = 16;

/**
 * Decides whether the attestations satisfy the rule: one slot, one person, nobody twice, each at another
 * box where the rule says so. `requester` is the person for whom the client acts, undefined for a service.
 * The requester never approves alone, unless the rule says that the requester must attest.
 */
export function decide(record: SiteRecordBody, rule: Rule, requester: string | undefined, attestations: readonly Attestation[]): Decision {
  const slots = slotsOf(rule);
  const usable = attestations.slice(0, mostPeople).filter(({ person }) => mayAttest(record, rule, requester, person));
  const acceptable = (used: readonly Attestation[]): boolean => {
    const own = used.some(({ person }) => person === requester);
    if (rule.requester === "must-attest") return own;
    return !own || used.some(({ person }) => person !== requester);
  };
  let best = 0;
  const dead = new Set<string>();
  const search = (slot: number, used: readonly number[]): readonly Attestation[] | undefined => {
    best = Math.max(best, slot);
    const chosen = used.map((i) => usable[i]).filter((one) => one !== undefined);
    const requirement = slots[slot];
    if (requirement === undefined) return acceptable(chosen) ? chosen : undefined;
    // Which attestations are used decides what is left; their order does not.
    const seen = `${slot}:${[...used].sort((a, b) => a - b).join()}`;
    if (dead.has(seen)) return undefined;
    for (const [i, next] of usable.entries()) {
      if (!fits(record, requirement, next.person)) continue;
      if (chosen.some(({ person, box }) => person === next.person || (rule.distinctBoxes && box === next.box))) continue;
      const found = search(slot + 1, [...used, i]);
      if (found !== undefined) return found;
    }
    dead.add(seen);
    return undefined;
  };
  const used = search(0, []);
  if (used !== undefined) return { allowed: true, used };
  return { allowed: false, still: describeMissing(rule, slots.slice(best), requester) };
}

function describeMissing(rule: Rule, missing: readonly Requirement[], requester: string | undefined): string {
  if (missing.length === 0) {
    return rule.requester === "must-attest" ? `the requester ${requester ?? "(a service has no finger)"}` : "somebody besides the requester";
  }
  const counts = new Map<string, number>();
  for (const requirement of missing) {
    const who = "person" in requirement ? requirement.person : requirement.role;
    counts.set(who, (counts.get(who) ?? 0) + 1);
  }
  return [...counts].map(([who, count]) => (count === 1 ? who : `${count} × ${who}`)).join(", ");
}

import type { z } from "zod";
import { recordHashOf, type finger, type Recovery, type SitePolicy, type SiteRecord, type SiteRecordBody } from "../protocol/site-record.ts";
import { statementHash } from "../protocol/statement.ts";

/** What a version says, without its place in the chain. */
export type Content = Omit<SiteRecordBody, "version" | "previous">;
export type Edit = (body: SiteRecordBody) => Content;

/** The body of the version after `current`. */
export function nextBody(current: SiteRecord, edit: Edit): SiteRecordBody {
  return { ...edit(current.body), version: current.body.version + 1, previous: statementHash(current) };
}

/** One edit after the other, as one. */
export function inTurn(...edits: readonly Edit[]): Edit {
  return (body) => edits.reduce<SiteRecordBody>((at, edit) => ({ ...edit(at), version: body.version, previous: body.previous }), body);
}

/** Roles, people's roles, clients' persons, rules and the limit of zones; boxes, keys and fingers stay as they are. */
export function withPolicy(policy: SitePolicy): Edit {
  return (body) => ({
    ...body,
    roles: policy.roles,
    people: policy.people.map((person) => ({ ...person, fingers: body.people.find((known) => known.id === person.id)?.fingers ?? [] })),
    clients: body.clients.map((client) => applyClient(client, policy)),
    rules: policy.rules,
    noZoneHoldsThreshold: policy.noZoneHoldsThreshold ?? false,
  });
}

/** A client's keys come from its joining; the policy file says for whom it acts. One that it does not name stays. */
function applyClient(client: SiteRecordBody["clients"][number], policy: SitePolicy): SiteRecordBody["clients"][number] {
  const wanted = policy.clients.find((one) => one.id === client.id);
  if (wanted === undefined) return client;
  const { id, key } = client;
  return { id, key, admin: wanted.admin, ...(wanted.person === undefined ? {} : { person: wanted.person }) };
}

/** A finger of a person, who may be new; without `roles` a known person keeps the own. */
export function withFinger(person: string, roles: readonly string[] | undefined, added: z.infer<typeof finger>): Edit {
  return (body) => {
    const known = body.people.find((one) => one.id === person);
    const next = {
      id: person,
      roles: [...(roles ?? known?.roles ?? [])],
      fingers: [...(known?.fingers ?? []).filter((one) => !(one.name === added.name && one.box === added.box)), added],
    };
    return {
      ...body,
      roles: [...new Set([...body.roles, ...next.roles])],
      people: known === undefined ? [...body.people, next] : body.people.map((one) => (one.id === person ? next : one)),
    };
  };
}

export function withoutPerson(person: string): Edit {
  return (body) => ({ ...body, people: body.people.filter((one) => one.id !== person) });
}

/** Lets a client in; one that is there with the same key stays as it is. */
export function withClient(added: SiteRecordBody["clients"][number]): Edit {
  return (body) => (body.clients.some(({ id, key }) => id === added.id && key === added.key) ? body : { ...body, clients: [...body.clients, added] });
}

/** Lets a box in; one that is there with the same key stays as it is. */
export function withBox({ id, zone, key }: Pick<SiteRecordBody["boxes"][number], "id" | "zone" | "key">): Edit {
  return (body) => (body.boxes.some((known) => known.id === id && known.key === key) ? body : { ...body, boxes: [...body.boxes, { id, zone, key }] });
}

/** A box leaves for good, and with it the fingers that its sensor knows. */
export function withoutBox(box: string): Edit {
  return (body) => ({
    ...body, boxes: body.boxes.filter(({ id }) => id !== box), retired: [...body.retired ?? [], box],
    people: body.people.map((person) => ({ ...person, fingers: person.fingers.filter((one) => one.box !== box) })),
  });
}

export function withoutClient(client: string): Edit {
  return (body) => ({ ...body, clients: body.clients.filter(({ id }) => id !== client), retired: [...body.retired ?? [], client] });
}

/** Lifts the quarantine of a box: its evidence counts again from the next version on (protocol.md §8). */
export function withReadmitted(box: string): Edit {
  return (body) => ({ ...body, boxes: body.boxes.map((one) => (one.id === box ? { ...one, readmitted: body.version + 1 } : one)) });
}

/** Names the recovery key, another one in its place, or none. */
export function withRecovery(recovery: Recovery | undefined): Edit {
  return (body) => ({ ...body, recovery });
}

/** Whether `next` lifts the quarantine of one box and says nothing else: what rule `readmit` is enough for. */
export function isReadmission(current: SiteRecord, next: SiteRecordBody): boolean {
  const [box, ...more] = next.boxes.filter(({ readmitted }) => readmitted === next.version);
  return box !== undefined && more.length === 0 && recordHashOf(current, next) === recordHashOf(current, nextBody(current, withReadmitted(box.id)));
}

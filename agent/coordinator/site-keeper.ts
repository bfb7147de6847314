import type { z } from "zod";
import type { Hsm } from "../hsm/client.ts";
import { refOf, siteRecord, type finger, type SitePolicy, type SiteRecord, type SiteRecordBody, type SiteRecordRef } from "../protocol/site-record.ts";
import { signStatement, statementHash } from "../protocol/statement.ts";
import { checkSuccessor } from "../rules/record.ts";
import { ShardkeepError } from "../runtime/errors.ts";
import { Turns } from "../runtime/turns.ts";
import { entriesJson, getJson, putJson } from "../store/json.ts";
import type { Store } from "../store/store.ts";

type Change = (body: SiteRecordBody) => Omit<SiteRecordBody, "version" | "previous">;
const chainMost = 32;

export class SiteError extends ShardkeepError<"NOT_JOINED" | "NOT_READY" | "UNKNOWN_PERSON" | "UNKNOWN_BOX" | "PERSON_EXISTS"> {}

/**
 * The site record at the coordinator: makes the next version, signed by the authority key in its HSM, and
 * keeps every version, because boxes walk the chain one by one (protocol.md §2). What boxes would refuse
 * is refused here first, with the same function.
 */
export class SiteKeeper {
  readonly #store: Store;
  readonly #hsm: Hsm;
  #current: SiteRecord;
  readonly #turns = new Turns();
  #onChange: (record: SiteRecord) => void = () => undefined;

  constructor(store: Store, hsm: Hsm) {
    const record = getJson(store, "site-record", siteRecord);
    if (record === undefined) throw new SiteError("NOT_JOINED", "this coordinator has no site record", { remedy: "shardkeep site init --config FILE" });
    this.#store = store;
    this.#hsm = hsm;
    this.#current = record;
  }

  get current(): SiteRecord {
    return this.#current;
  }

  get ref(): SiteRecordRef {
    return refOf(this.#current);
  }

  onChange(handler: (record: SiteRecord) => void): void {
    this.#onChange = handler;
  }

  /** Identity key of a box or client of this site, or the coordinator's own. */
  keyOf(sender: string): string | undefined {
    const { boxes, clients, coordinator } = this.#current.body;
    if (sender === coordinator.id) return coordinator.key;
    return boxes.find((box) => box.id === sender)?.key ?? clients.find((client) => client.id === sender)?.key;
  }

  kindOf(name: string): "box" | "client" | "coordinator" | undefined {
    const { boxes, clients, coordinator } = this.#current.body;
    if (name === coordinator.id) return "coordinator";
    if (boxes.some((box) => box.id === name)) return "box";
    return clients.some((client) => client.id === name) ? "client" : undefined;
  }

  /** The versions after `version`, oldest first, as many as one message takes. */
  after(version: number): SiteRecord[] {
    const kept = entriesJson(this.#store, "site-record/", siteRecord).map(([, record]) => record);
    return [...kept, this.#current].filter(({ body }) => body.version > version)
      .sort((a, b) => a.body.version - b.body.version).slice(0, chainMost);
  }

  /** Makes, checks, stores and announces the next version; one change at a time. */
  change(change: Change): Promise<SiteRecord> {
    return this.#turns.run(() => this.#make(change));
  }

  async #make(change: Change): Promise<SiteRecord> {
    const current = this.#current;
    const body: SiteRecordBody = { ...change(current.body), version: current.body.version + 1, previous: statementHash(current) };
    const signer = { sign: (message: Uint8Array) => this.#hsm.sign("authority", message) };
    const next = await signStatement(signer, "site-record", current.site, current.by, body);
    checkSuccessor(current, next);
    const history = String(current.body.version).padStart(10, "0");
    await this.#store.commit([putJson(`site-record/${history}`, current), putJson("site-record", next)]);
    this.#current = next;
    this.#onChange(next);
    return next;
  }

  /** `site apply`: roles, people's roles, clients' persons, rules and the limit of zones; boxes, keys and fingers stay as they are. */
  apply(policy: SitePolicy): Promise<SiteRecord> {
    return this.change((body) => ({
      ...body,
      roles: policy.roles,
      people: policy.people.map((person) => ({ ...person, fingers: body.people.find((known) => known.id === person.id)?.fingers ?? [] })),
      clients: body.clients.map((client) => applyClient(client, policy)),
      rules: policy.rules,
      noZoneHoldsThreshold: policy.noZoneHoldsThreshold ?? false,
    }));
  }

  /** `site seal`: from here on the record changes only by people's evidence. */
  seal(): Promise<SiteRecord> {
    return this.change((body) => {
      if (body.boxes.length === 0 || body.rules.length === 0) throw new SiteError("NOT_READY", "a record without boxes or rules would be sealed for nothing", { remedy: "join the boxes and `shardkeep site apply FILE` first" });
      return { ...body, sealed: true };
    });
  }

  addFinger(person: string, roles: readonly string[] | undefined, added: z.infer<typeof finger>): Promise<SiteRecord> {
    return this.change((body) => {
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
    });
  }

  removePerson(person: string): Promise<SiteRecord> {
    return this.change((body) => {
      if (!body.people.some((one) => one.id === person)) throw new SiteError("UNKNOWN_PERSON", `${person} is not in the site record`, { remedy: "shardkeep person list" });
      return { ...body, people: body.people.filter((one) => one.id !== person) };
    });
  }
}

/** A client's keys come from its joining; the policy file says for whom it acts. One that it does not name stays. */
function applyClient(client: SiteRecordBody["clients"][number], policy: SitePolicy): SiteRecordBody["clients"][number] {
  const wanted = policy.clients.find((one) => one.id === client.id);
  if (wanted === undefined) return client;
  const { id, key } = client;
  return { id, key, admin: wanted.admin, ...(wanted.person === undefined ? {} : { person: wanted.person }) };
}

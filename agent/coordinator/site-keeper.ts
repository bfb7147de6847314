import type { z } from "zod";
import type { Hsm } from "../hsm/client.ts";
import { refOf, siteRecord, type finger, type SitePolicy, type SiteRecord, type SiteRecordRef } from "../protocol/site-record.ts";
import { signStatement } from "../protocol/statement.ts";
import { nextBody, withFinger, withoutPerson, withPolicy, type Edit } from "../rules/record-edits.ts";
import { judgeStep } from "../rules/record-step.ts";
import { ShardkeepError } from "../runtime/errors.ts";
import { Turns } from "../runtime/turns.ts";
import { entriesJson, getJson, putJson } from "../store/json.ts";
import type { Store } from "../store/store.ts";

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
  change(edit: Edit): Promise<SiteRecord> {
    return this.#turns.run(() => this.#make(edit));
  }

  async #make(edit: Edit): Promise<SiteRecord> {
    const current = this.#current;
    const signer = { sign: (message: Uint8Array) => this.#hsm.sign("authority", message) };
    const next = await signStatement(signer, "site-record", current.site, current.by, nextBody(current, edit));
    judgeStep(current, next, () => false);
    const history = String(current.body.version).padStart(10, "0");
    await this.#store.commit([putJson(`site-record/${history}`, current), putJson("site-record", next)]);
    this.#current = next;
    this.#onChange(next);
    return next;
  }

  /** `site apply`. */
  apply(policy: SitePolicy): Promise<SiteRecord> {
    return this.change(withPolicy(policy));
  }

  /** `site seal`: from here on the record changes only by people's evidence. */
  seal(): Promise<SiteRecord> {
    return this.change((body) => {
      if (body.boxes.length === 0 || body.rules.length === 0) throw new SiteError("NOT_READY", "a record without boxes or rules would be sealed for nothing", { remedy: "join the boxes and `shardkeep site apply FILE` first" });
      return { ...body, sealed: true };
    });
  }

  addFinger(person: string, roles: readonly string[] | undefined, added: z.infer<typeof finger>): Promise<SiteRecord> {
    return this.change(withFinger(person, roles, added));
  }

  removePerson(person: string): Promise<SiteRecord> {
    return this.change((body) => {
      if (!body.people.some((one) => one.id === person)) throw new SiteError("UNKNOWN_PERSON", `${person} is not in the site record`, { remedy: "shardkeep person list" });
      return withoutPerson(person)(body);
    });
  }
}

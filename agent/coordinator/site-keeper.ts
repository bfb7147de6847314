import type { z } from "zod";
import { signerOf, type Hsm } from "../hsm/client.ts";
import type { Approval } from "../protocol/approval.ts";
import { mostMessageBytes } from "../protocol/envelope.ts";
import { recordHashOf, refOf, siteRecord, type finger, type SitePolicy, type SiteRecord, type SiteRecordBody, type SiteRecordRef } from "../protocol/site-record.ts";
import { signStatement, statementHash } from "../protocol/statement.ts";
import { nextBody, withFinger, withoutPerson, withPolicy, type Edit } from "../rules/record-edits.ts";
import { judgeStep } from "../rules/record-step.ts";
import { awaitedOf, isAwaited, judgeRecoveryAsked, type Awaited } from "../rules/recovery.ts";
import { Refusal } from "../rules/refusal.ts";
import { ShardkeepError } from "../runtime/errors.ts";
import { Turns } from "../runtime/turns.ts";
import { entriesJson, getJson, putJson } from "../store/json.ts";
import type { Store } from "../store/store.ts";

const chainMost = 32;
/** Half of what one message may have; a single version goes whatever its size. */
const chainBytes = mostMessageBytes / 2;

export class SiteError extends ShardkeepError<"NOT_JOINED" | "NOT_READY" | "UNKNOWN_PERSON" | "UNKNOWN_BOX" | "UNKNOWN_CLIENT" | "PERSON_EXISTS"> {}

/**
 * The site record at the coordinator: makes the next version, signed by the authority key in its HSM, and
 * keeps every version, because boxes walk the chain one by one (protocol.md §2). What boxes would refuse
 * is refused here first, with the same function.
 */
export class SiteKeeper {
  readonly #store: Store;
  readonly #hsm: Hsm;
  #current: SiteRecord;
  /** The version that is being committed. */
  #taking: number | undefined;
  readonly #turns = new Turns();
  #pending: SiteRecord | undefined;
  #onChange: (record: SiteRecord) => void = () => undefined;
  #onAwaited: () => void = () => undefined;

  constructor(store: Store, hsm: Hsm) {
    const record = getJson(store, "site-record", siteRecord);
    if (record === undefined) throw new SiteError("NOT_JOINED", "this coordinator has no site record", { remedy: "shardkeep site init --config FILE" });
    this.#store = store;
    this.#hsm = hsm;
    this.#current = record;
    this.#pending = getJson(store, "recovery", siteRecord);
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

  /** A version under the recovery key that is not yet in force here. */
  get awaited(): Awaited | undefined {
    return awaitedOf(this.#current, this.#pending);
  }

  /** Called once what is awaited is durable, and once it has come or gone. */
  onAwaited(handler: () => void): void {
    this.#onAwaited = handler;
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

  /** The newest version that may be durable already: what is found out now is found out under this one. */
  get horizon(): number {
    return this.#taking ?? this.#current.body.version;
  }

  /** The versions after `version`, oldest first, as many as one message takes. */
  after(version: number): SiteRecord[] {
    const kept = entriesJson(this.#store, "site-record/", siteRecord).map(([, record]) => record);
    let bytes = 0;
    return [...kept, this.#current].filter(({ body }) => body.version > version)
      .sort((a, b) => a.body.version - b.body.version).slice(0, chainMost)
      .filter((record, i) => {
        bytes += JSON.stringify(record).length;
        return i === 0 || bytes <= chainBytes;
      });
  }

  /** What a box at `version` has to hear: the versions after it, and when it has those the one that waits. */
  offer(version: number): SiteRecord[] {
    return version === this.#current.body.version && this.#pending !== undefined ? [this.#pending] : this.after(version);
  }

  /** Makes, checks, stores and announces the next version of an unsealed record; one change at a time. */
  change(edit: Edit): Promise<SiteRecord> {
    return this.#turns.run(async () => this.#take(await this.#sign(nextBody(this.#current, edit)), () => false));
  }

  /**
   * The same with what people have approved. The authority signs only now: so it signs one successor of a version and
   * no second, whatever else was asked for and not approved. Rejects with WRONG_SITE_RECORD if another change was faster.
   */
  adopt(body: SiteRecordBody, approval: Approval, isQuarantined: (box: string) => boolean): Promise<SiteRecord> {
    return this.#turns.run(async () => {
      if (approval.fields.siteRecord.hash !== this.ref.hash) throw new Refusal("WRONG_SITE_RECORD", "another change of the site record was faster", { retryable: true, remedy: "ask again: the change is judged by the record as it is now" });
      return await this.#take({ ...await this.#sign(body), approval }, isQuarantined);
    });
  }

  /**
   * A version under the recovery key: signed and durable, so that every box hears of it, and in force here only when
   * {@link ripen} is called. The authority so signs a second successor if people veto this one; boxes that took that
   * refuse this. Asked again for the same, nothing happens. Rejects with RecordError.
   */
  recover(body: SiteRecordBody, recovery: string): Promise<void> {
    return this.#turns.run(async () => {
      if (isAwaited(this.#pending, recordHashOf(this.#current, body))) return;
      judgeRecoveryAsked(this.#current, body, recovery);
      const next = { ...await this.#sign(body), recovery };
      await this.#store.commit([putJson("recovery", next)]);
      this.#pending = next;
      this.#onAwaited();
    });
  }

  /** Its delay is over: it comes into force, unless another version has. */
  ripen(hash: string): Promise<void> {
    return this.#turns.run(async () => {
      if (this.#pending !== undefined && statementHash(this.#pending) === hash) await this.#take(this.#pending, () => false);
    });
  }

  async #sign(body: SiteRecordBody): Promise<SiteRecord> {
    const { site, by } = this.#current;
    return await signStatement(signerOf(this.#hsm, "authority"), "site-record", site, by, body);
  }

  /** Durable here before anybody hears of it: after any crash it is offered to every box that has not taken it. */
  async #take(next: SiteRecord, isQuarantined: (box: string) => boolean): Promise<SiteRecord> {
    const current = this.#current;
    judgeStep(current, next, isQuarantined);
    const history = String(current.body.version).padStart(10, "0");
    this.#taking = next.body.version;
    try {
      await this.#store.commit([putJson(`site-record/${history}`, current), putJson("site-record", next), { del: "recovery" }]);
    } finally {
      this.#taking = undefined;
    }
    this.#current = next;
    this.#pending = undefined;
    this.#onChange(next);
    this.#onAwaited();
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

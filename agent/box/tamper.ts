import type { RequestHandlers } from "../mqtt/exchange.ts";
import type { RequestTable } from "../protocol/messages.ts";
import type { Tampered } from "../protocol/tamper.ts";
import { topic } from "../protocol/topics.ts";
import { Refusal } from "../rules/refusal.ts";
import { servedWhileLocked, tamperLock, tamperStep, type TamperLock } from "../rules/tamper.ts";
import { isNamed } from "../runtime/errors.ts";
import { Turns } from "../runtime/turns.ts";
import { getJson, putJson } from "../store/json.ts";
import type { BoxParts } from "./parts.ts";
import { signAs } from "./sign.ts";

const lockKey = "tampered";

/**
 * The lock of a box whose case was opened (protocol.md §8). It locks by itself and at once, whether or not anybody
 * hears of it, tells the coordinator with every heartbeat, and destroys nothing: that takes a certificate.
 */
export class Tamper {
  readonly #parts: BoxParts;
  readonly #onLock: () => void;
  readonly #turns = new Turns();
  #lock: TamperLock | undefined;
  #kept: TamperLock | undefined;
  #signed: Tampered | undefined;
  #ending = false;
  #complaint = "";

  /** `onLock` ends what has begun. */
  constructor(parts: BoxParts, onLock: () => void) {
    this.#parts = parts;
    this.#onLock = onLock;
    this.#lock = this.#kept = getJson(parts.store, lockKey, tamperLock);
    parts.panel?.onLid(() => { this.look(); });
    this.look();
  }

  get locked(): boolean {
    return this.#lock !== undefined;
  }

  /** Throws TAMPERED while locked. */
  require(): void {
    if (this.locked) throw new Refusal("TAMPERED", `the case of ${this.#parts.box} was opened: it is locked`, { remedy: "look at the box, then `shardkeep box readmit`" });
  }

  /** The same handlers, but a locked box answers only what it must; also where it locked while one was at work. */
  guard<T extends RequestTable>(handlers: RequestHandlers<T>): RequestHandlers<T> {
    const all = Object.entries(handlers as unknown as Readonly<Record<string, (data: never, call: never) => Promise<unknown>>>);
    // Each keeps its own types: only the moment at which it is called is another.
    return Object.fromEntries(all.map(([name, handler]) => [name, servedWhileLocked.has(name) ? handler : async (data: never, call: never) => {
      this.require();
      const answer = await handler(data, call).catch((error: unknown) => {
        this.require();
        throw error;
      });
      this.require();
      return answer;
    }])) as unknown as RequestHandlers<T>;
  }

  /** At every word of the panel, every version of the record, every beat. */
  look(): void {
    const { panel, box, records, log } = this.#parts;
    const lid = panel === undefined ? "none" : panel.lid ?? "absent";
    const step = tamperStep(this.#lock, lid, box, records.current.body);
    if (step === "lock" && typeof lid === "object" && lid.cause !== null) {
      this.#lock = { counter: lid.counter, cause: lid.cause, since: records.ref.version, acknowledged: null };
      log.error("tampered: locked", { cause: lid.cause, counter: lid.counter });
      this.#onLock();
      this.#do(() => this.tell());
    } else if ((step === "clear" || step === "lift") && !this.#ending) {
      this.#ending = true;
      this.#do(async () => {
        try {
          if (step === "lift") await this.#lift();
          else if (typeof lid === "object") await panel?.clearTamper(lid.counter);
        } finally {
          this.#ending = false;
        }
        if (step === "clear" && panel?.lid?.marked === false) this.look();
      });
    }
  }

  /** The coordinator took note of the opening `counter` while version `since` was in force. False: it is not locked for that. */
  async acknowledge(counter: number | undefined, since: number): Promise<boolean> {
    const lock = this.#lock;
    if (lock?.counter !== counter || lock === undefined) return false;
    if (lock.acknowledged === null) this.#lock = { ...lock, acknowledged: Math.max(since, lock.since) };
    await this.#keep();
    this.look();
    return true;
  }

  /** Durable first, then told: repeated until a version of the record lifts it, whatever was lost on the way. */
  async tell(): Promise<void> {
    await this.#keep();
    const { exchange, box, records } = this.#parts;
    const lock = this.#lock;
    if (lock === undefined) return;
    const { acknowledged } = lock;
    const tampered = await this.#statement(lock);
    await exchange.tell(topic({ kind: "box", box, direction: "up", what: "event" }), "event", { what: "tampered", tampered, acknowledged }, { to: records.current.body.coordinator.id, qos: 1 });
  }

  /** An opening while this is being written is a lock of its own: it stays, and is written next. */
  async #lift(): Promise<void> {
    const { store, log, records } = this.#parts;
    await this.#turns.run(async () => {
      const lifted = this.#lock;
      await store.commit([{ del: lockKey }]);
      this.#kept = undefined;
      if (this.#lock === lifted) this.#lock = undefined;
    });
    log.info("tamper lock lifted", { version: records.ref.version });
  }

  #keep(): Promise<void> {
    return this.#turns.run(async () => {
      const lock = this.#lock;
      if (lock === this.#kept || lock === undefined) return;
      await this.#parts.store.commit([putJson(lockKey, lock)]);
      this.#kept = lock;
    });
  }

  /** Signed once a life: an HSM signs slowly. */
  async #statement({ counter, cause, since }: TamperLock): Promise<Tampered> {
    if (this.#signed?.body.counter !== counter) {
      this.#signed = await signAs(this.#parts, "tampered", { counter, cause, since });
    }
    return this.#signed;
  }

  /** What fails is tried again with the next beat, and said once. */
  #do(task: () => Promise<void>): void {
    task().then(() => { this.#complaint = ""; }, (error: unknown) => {
      if (isNamed(error) && error.code === "NOT_CONNECTED") return;
      if (this.#complaint !== String(error)) this.#parts.log.warn("tamper", { error: String(error) });
      this.#complaint = String(error);
    });
  }
}

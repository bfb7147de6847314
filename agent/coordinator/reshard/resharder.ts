import { signerOf } from "../../hsm/client.ts";
import { keyRecordHash, type KeyRecord } from "../../protocol/key-record.ts";
import type { ReshardPlan, ReshardReason } from "../../protocol/reshard.ts";
import { signStatement, statementHash } from "../../protocol/statement.ts";
import { batchesOf, type Batch, type Planned, type Proposed } from "../../rules/reshard/batch.ts";
import { changes } from "../../rules/reshard/plan.ts";
import { stepDrive } from "../../rules/reshard/drive.ts";
import { isUnproven } from "../../rules/reshard/proof.ts";
import { outBy, proposeReshard, type BoxView, type Hold, type Proposal } from "../../rules/reshard/propose.ts";
import type { Fleet } from "../fleet.ts";
import type { InUse } from "../in-use.ts";
import type { KeyShelf } from "../key-shelf.ts";
import type { CoordinatorParts } from "../parts.ts";
import { ApprovedReshards, heldError, ReshardError, unknownKey, type Attempt } from "./approved.ts";
import { AttemptRun, type Outcome } from "./attempt.ts";
import { Backups } from "./backups.ts";
import { Driver } from "./driver.ts";
import type { Entry, Journal } from "./journal.ts";
import { Namer } from "./namer.ts";
import { Patience } from "./patience.ts";
import { Proofs } from "./proofs.ts";
import { Recoveries } from "./recoveries.ts";

interface Order { readonly resolve: (record: KeyRecord) => void; readonly reject: (error: unknown) => void }

const considerMs = 500;
/** How many keys a line names that is about many. */
const mostNamed = 3;

/** Decides what is to be re-sharded, one batch at a time, and has every attempt carried to its end. */
export class Resharder {
  readonly #parts: CoordinatorParts;
  readonly #fleet: Fleet;
  readonly #keys: KeyShelf;
  readonly #journal: Journal;
  readonly #driver: Driver;
  readonly #patience: Patience;
  readonly #backups: Backups;
  readonly #namer: Namer;
  /** Those that people approve. */
  readonly approved: ApprovedReshards;
  /** What operations say of attempts that had only t witnesses. */
  readonly proofs: Proofs;
  /** Attempts that people end. */
  readonly recoveries: Recoveries;
  readonly #holds = new Map<string, Hold>();
  readonly #orders = new Map<string, Order[]>();
  readonly #deciding = new Map<string, () => void>();
  #running = false;
  #cancel: () => void = () => undefined;

  constructor(parts: CoordinatorParts, fleet: Fleet, keys: KeyShelf, journal: Journal, inUse: InUse) {
    this.#parts = parts;
    this.#fleet = fleet;
    this.#keys = keys;
    this.#journal = journal;
    this.#patience = new Patience(parts, (key) => inUse.has(key));
    this.#namer = new Namer(parts, fleet);
    this.#backups = new Backups(fleet, keys, journal);
    this.#driver = new Driver(parts, fleet, keys, journal);
    this.approved = new ApprovedReshards(parts, keys, journal, {
      views: () => this.#views(), wish: (record) => this.#patience.wish(record), isHeld: () => fleet.hold, consider: () => { this.consider(); },
      sign: (plan, record, request) => this.#plan(plan, [record], { nextThreshold: plan.next.threshold, size: plan.next.size, margin: plan.next.margin, request }),
    });
    this.recoveries = new Recoveries(parts, fleet, keys, journal, this.#driver);
    this.proofs = new Proofs(parts, fleet, journal, this.#driver, this.#patience);
    for (const { record } of keys.all()) if (record.epoch > 1) this.#patience.assumeChanged(record.key);
    this.#driver.onDecided((entry) => { this.#decided(entry); });
    fleet.onHeard((box, holdings) => {
      this.#backups.look(box, holdings);
      this.#driver.drive(box);
    });
    fleet.onChange(() => { this.consider(); });
  }

  start(): void {
    void this.#giveUpUnfinished().catch((error: unknown) => { this.#parts.log.error("re-shard not given up", { error: String(error) }); });
    this.#again();
  }

  stop(): void {
    this.#cancel();
  }

  /** Why a key is not re-sharded although it should be. */
  holdOf(key: string): Hold | "our-network" | null {
    const hold = this.#holds.get(key) ?? null;
    return hold !== null && this.#fleet.hold ? "our-network" : hold;
  }

  /**
   * The record to serve new requests by: the newest that at least *t* live boxes serve (protocol.md §7). Before D
   * that is the old one, unless too few of its holders are left; the new one also where only its use can prove it.
   */
  serving(key: string): KeyRecord | undefined {
    const toProve = this.proofs.serving(key);
    if (toProve !== undefined) return toProve;
    const record = this.#keys.get(key)?.record;
    if (record === undefined || this.#live(record) >= record.threshold) return record;
    for (const { plan, phase } of this.#journal.all()) {
      if (phase !== "certified" && phase !== "resolving") continue;
      const planHash = statementHash(plan);
      const next = this.#journal.recordsOf(planHash).find((one) => one.key === key);
      if (next !== undefined && this.#driver.activatedLive(planHash) >= next.threshold) return next;
    }
    return record;
  }

  /** Somebody's order: resolves with the new record once it is in force. Rejects with UNKNOWN_KEY, RESHARD_HELD. */
  order(key: string): Promise<KeyRecord> {
    const record = this.#keys.get(key)?.record;
    if (record === undefined) return Promise.reject(unknownKey(key));
    return new Promise((resolve, reject) => {
      this.#orders.set(key, [...(this.#orders.get(key) ?? []), { resolve, reject }]);
      this.#patience.order(key);
      this.consider();
    });
  }

  /** Looks what is to be done and begins one batch. Nothing is begun while it may be our own network (design §11). */
  consider(): void {
    this.proofs.giveUp();
    if (this.#running) return;
    const approved = this.approved.next();
    const [batch] = this.#batches();
    this.#refuseHeldOrders();
    const begun = approved !== undefined ? this.#attempt(approved) : batch !== undefined && !this.#fleet.hold ? this.#tryBatch(batch) : undefined;
    if (begun === undefined) return;
    this.#running = true;
    begun.then(() => {
      this.#running = false;
      this.consider();
    }, (error: unknown) => {
      // Our own store or HSM: at the next look, not at once, or it would be tried without end.
      this.#running = false;
      if (approved !== undefined) this.approved.failed(statementHash(approved.plan), "the coordinator's own store or HSM failed");
      this.#parts.log.error("re-shard failed", { error: String(error) });
    });
  }

  #again(): void {
    this.#cancel = this.#parts.clock.after(considerMs, () => { this.#again(); this.#driver.drive(); this.consider(); });
  }

  /** Keys for which the same is to be done, in batches that fit a message. */
  #batches(): Batch[] {
    const busy = this.#journal.busyKeys();
    const boxes = this.#views();
    const proposed: Proposed[] = [];
    const held = new Map<Hold, string[]>();
    for (const { record } of this.#keys.all()) {
      const { key } = record;
      if (busy.has(key) || !this.#patience.mayTry(key)) continue;
      const proposal = proposeReshard(record, boxes, this.#patience.wish(record));
      const hold = this.#note(key, proposal);
      if (hold !== null) held.set(hold, held.get(hold) ?? []).get(hold)?.push(key);
      if (proposal.kind === "plan") proposed.push({ record, proposal, part: this.#patience.part(key) });
    }
    for (const [why, keys] of held) this.#parts.log.error("re-shard held", { keys: keys.length, key: named(keys), why });
    return batchesOf(proposed);
  }

  /** Keeps what holds a key; gives it where it is new and does not pass by itself: people must hear of it. */
  #note(key: string, proposal: Proposal): Hold | null {
    const hold = proposal.kind === "hold" ? proposal.why : null;
    if ((this.#holds.get(key) ?? null) === hold) return null;
    if (hold === null) this.#holds.delete(key);
    else this.#holds.set(key, hold);
    return hold === "window" || hold === "absent" ? null : hold;
  }

  #views(): BoxView[] {
    return this.#parts.site.current.body.boxes.map(({ id: box, zone }) => {
      return { box, zone, live: this.#fleet.isLive(box), steady: this.#fleet.isSteady(box), out: outBy(this.#fleet.liveness(box)) };
    });
  }

  async #tryBatch({ proposal, records }: Batch): Promise<void> {
    await this.#attempt({ plan: await this.#plan(proposal, records), old: records[0]?.holders.map(({ box }) => box) ?? [], approval: null });
  }

  async #attempt({ plan, old, approval }: Attempt): Promise<void> {
    const entry: Entry = {
      plan, phase: "planned", old: [...old], batch: null, records: [], prepared: [], proof: null, activated: [], burns: [],
    };
    // PLAN and its attempt numbers are durable before anybody hears of them: none is ever used twice.
    await this.#journal.put(entry, plan.body.keys.map(({ key, attempt }) => this.#keys.attempted(key, attempt)));
    this.#parts.log.info("re-shard planned", { keys: plan.body.keys.length, key: plan.body.keys[0]?.key ?? "", reason: plan.body.reason, holders: plan.body.holders.map(({ box }) => box).join(" ") });
    const outcome = await new AttemptRun(this.#parts, plan, approval).run();
    await this.#ended(entry, outcome);
    const burnt = outcome.kind === "bad-deal" ? this.#untilDecided(statementHash(plan)) : undefined;
    this.#driver.drive();
    if (outcome.kind !== "bad-deal") return;
    await burnt;
    const named = this.#journal.get(statementHash(plan))?.phase === "burnt" && await this.#namer.name(plan, outcome);
    this.#patience.badDeal(plan, outcome.verdict, named);
  }

  /** Or until it has had the time for it: a stuck attempt must not hold up other keys. */
  #untilDecided(planHash: string): Promise<void> {
    return new Promise((resolve) => {
      this.#deciding.set(planHash, resolve);
      this.#parts.clock.after(3 * this.#parts.config.reshardStepMs, resolve);
    });
  }

  async #plan({ reason, dealers, witnesses, holders }: Planned, records: readonly KeyRecord[], change: Partial<ReshardPlan["body"]> = {}): Promise<ReshardPlan> {
    const [first] = records;
    if (first === undefined) throw new ReshardError("RESHARD_FAILED", "a batch without keys");
    const { config, hsm } = this.#parts;
    return await signStatement(signerOf(hsm, "identity"), "reshard-plan", config.site, config.coordinator, {
      keys: records.map((record) => ({
        key: record.key, version: record.version, epoch: record.epoch + 1, attempt: this.#keys.lastAttempt(record.key) + 1,
        previous: keyRecordHash(record), check: record.check, imported: record.imported,
      })),
      kind: first.kind, threshold: first.threshold, nextThreshold: first.threshold, size: first.size, margin: first.margin,
      dealers: [...dealers], witnesses: [...witnesses], holders: [...holders], reason: reason satisfies ReshardReason, request: null, ...change,
    });
  }

  async #ended(entry: Entry, outcome: Outcome): Promise<void> {
    const next = stepDrive(entry.phase, outcome.kind !== "prepared" ? "failed" : isUnproven(entry.plan) ? "prepared-unproven" : "prepared-by-all");
    if (next === null) return;
    if (outcome.kind === "prepared") {
      const { batch, records, prepared } = outcome;
      await this.#journal.put({ ...entry, phase: next, batch, records: records.map(keyRecordHash), prepared: [...prepared] }, [], records);
      if (next === "unproven") this.#parts.log.warn("re-shard unproven", { key: entry.plan.body.keys[0]?.key ?? "", attempt: entry.plan.body.keys[0]?.attempt ?? 0 });
      return;
    }
    const { body } = entry.plan;
    this.approved.failed(statementHash(entry.plan), describe(outcome));
    this.#parts.log.warn("re-shard attempt failed", { key: body.keys[0]?.key ?? "", attempt: body.keys[0]?.attempt ?? 0, outcome: describe(outcome) });
    this.#patience.failed(entry.plan, outcome);
    if (outcome.kind === "refused" && outcome.code === "ATTEMPT_OPEN") this.#driver.showAgain(outcome.box);
    await this.#journal.put({ ...entry, phase: next });
  }

  /** What was planned when we died is lost in memory everywhere it matters: it is burnt. */
  async #giveUpUnfinished(): Promise<void> {
    for (const entry of this.#journal.all()) {
      const next = entry.phase === "planned" ? stepDrive(entry.phase, "failed") : null;
      if (next !== null) await this.#journal.put({ ...entry, phase: next });
    }
    this.#driver.drive();
  }

  #decided({ plan, phase, old }: Entry): void {
    const { holders, keys } = plan.body;
    const planHash = statementHash(plan);
    this.#deciding.get(planHash)?.();
    this.#deciding.delete(planHash);
    this.recoveries.decided(planHash);
    if (phase === "settled") {
      this.approved.settled(planHash);
      const { leave, come } = changes(old.map((box) => ({ box })), holders);
      for (const { key } of keys) {
        const record = this.#keys.get(key)?.record;
        if (record === undefined) continue;
        this.#patience.settled(key, leave + come > 0);
        for (const { resolve } of this.#orders.get(key) ?? []) resolve(record);
        this.#orders.delete(key);
      }
    }
    const inForce = new Set(this.#keys.all().map(({ record }) => record.plan));
    this.#journal.prune(inForce).catch((error: unknown) => { this.#parts.log.warn("past attempts not pruned", { error: String(error) }); });
    this.consider();
  }

  /** Whoever ordered is told, instead of waiting for what does not come; the order is forgotten. */
  #refuseHeldOrders(): void {
    for (const [key, orders] of this.#orders) {
      const hold = this.#fleet.hold ? "our-network" : this.#holds.get(key);
      if (hold === undefined) continue;
      this.#orders.delete(key);
      this.#patience.forget(key);
      for (const { reject } of orders) reject(heldError(key, hold));
    }
  }

  #live(record: KeyRecord): number {
    return record.holders.filter(({ box }) => this.#fleet.isLive(box)).length;
  }
}

/** The first few of many. */
const named = (keys: readonly string[]): string => [...keys.slice(0, mostNamed), ...(keys.length > mostNamed ? ["…"] : [])].join(" ");

function describe(outcome: Exclude<Outcome, { kind: "prepared" }>): string {
  switch (outcome.kind) {
    case "silent": return `${outcome.boxes.join(" ")} silent at ${outcome.step}`;
    case "refused": return `${outcome.box} refused at ${outcome.step}: ${outcome.code}`;
    case "bad-deal": return outcome.verdict.kind;
  }
}

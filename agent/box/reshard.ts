import type { Approval } from "../protocol/approval.ts";
import type { Join, SealedStatement } from "../protocol/key-record.ts";
import { atRestAad, keyRecordHash, sharePrefix } from "../protocol/key-record.ts";
import type { Sealed } from "../protocol/primitives.ts";
import {
  batchHash, type BatchActivated, type BatchBurn, type BatchDestroyed, type BatchPrepared, type BatchResolved, type Burial, type ProvedUse, type ReshardCheck, type ReshardDeal, type ReshardPlan, type Settlement,
} from "../protocol/reshard.ts";
import { statementHash } from "../protocol/statement.ts";
import { isBound, stepAttempt, type AttemptEvent, type Transition } from "../rules/reshard/attempt.ts";
import { isBuried, isPlanned, isPreparedByAll, isSettled } from "../rules/reshard/certificates.ts";
import { hashesOf, judgeReshardChecks, recordsOf } from "../rules/reshard/deal.ts";
import { changes, judgeReshardPlan, mostJump } from "../rules/reshard/plan.ts";
import { requireProved } from "../rules/reshard/proof.ts";
import { isTwoSettled } from "../rules/reshard/resolution.ts";
import { Refusal } from "../rules/refusal.ts";
import { bytesOf, toBase64url } from "../runtime/encoding.ts";
import type { Turns } from "../runtime/turns.ts";
import { answered, answerTo } from "./answer.ts";
import type { Approvals } from "./approval.ts";
import type { Attempts, KeptAttempt } from "./attempts.ts";
import { Dealings } from "./dealings.ts";
import type { Generations } from "./generations.ts";
import { movesOf } from "./moves.ts";
import type { BoxParts } from "./parts.ts";
import type { Shelf, Shelved } from "./shelf.ts";
import { signAs } from "./sign.ts";

const sweepAgainMs = 1000;

/**
 * A box's part in re-sharding (protocol.md §7). It judges plans and certificates for itself, writes each stage
 * durably before it says so, and destroys nothing without the certificate that allows it. One step at a time.
 */
export class Reshards {
  readonly #parts: BoxParts;
  readonly #shelf: Shelf;
  readonly #attempts: Attempts;
  readonly #generations: Generations;
  readonly #dealings: Dealings;
  readonly #approvals: Approvals;
  readonly #isUsed: (one: Shelved) => boolean;
  readonly #turns: Turns;

  constructor(parts: BoxParts, shelf: Shelf, attempts: Attempts, generations: Generations, approvals: Approvals, turns: Turns, isUsed: (one: Shelved) => boolean) {
    this.#parts = parts;
    this.#shelf = shelf;
    this.#attempts = attempts;
    this.#generations = generations;
    this.#dealings = new Dealings(parts, shelf);
    this.#approvals = approvals;
    this.#turns = turns;
    this.#isUsed = isUsed;
  }

  /** Goes on with what a crash has cut off. */
  start(): void {
    if (this.#generations.pending) this.#sweepSoon(0);
  }

  /** PLAN → JOIN. */
  join(plan: ReshardPlan, approval: Approval | null, coordinatorBoot: string): Promise<Join> {
    return this.#turns.run(async () => {
      const { records, box } = this.#parts;
      const planHash = statementHash(plan);
      const joined = this.#dealings.joinOf(planHash);
      if (joined !== undefined) return joined;
      if (this.#attempts.get(planHash) !== undefined) throw new Refusal("ATTEMPT_LOST", `${box} was restarted since it joined this attempt, or has ended it`);
      const open = this.#attempts.openKeys();
      const changed = this.#attempts.changedKeys();
      const current = (key: string) => this.#shelf.get(key, "current")?.record;
      const approved = this.#approvals.judge(plan, approval, current, coordinatorBoot);
      judgeReshardPlan(plan, {
        box, siteRecord: records.current, isQuarantined: (other) => records.isQuarantined(other),
        current,
        lastAttempt: (key) => this.#attempts.last(key), isOpen: (key) => open.has(key), changedLately: (key) => changed.has(key),
        approved: approved !== null,
      });
      if (approved !== null && approval !== null) await this.#approvals.count(approved, approval);
      // Whoever is to be named has been named: another attempt begins on these keys.
      const keys = new Set(plan.body.keys.map(({ key }) => key));
      await this.#dealings.closeAbout((other) => other.body.keys.some(({ key }) => keys.has(key)));
      await this.#attempts.commit([...this.#attempts.prune(plan), ...this.#attempts.put({ plan, stage: "joined", batch: null, changed: false })]);
      return await this.#dealings.join(plan);
    });
  }

  deal(planHash: string, joins: readonly Join[]): Promise<{ deal: ReshardDeal; pieces: Sealed[] }> {
    return this.#turns.run(() => this.#dealings.deal(planHash, joins));
  }

  seal(planHash: string, joins: readonly Join[], deals: readonly ReshardDeal[], pieces: readonly { readonly holder: Sealed | null; readonly witness: Sealed | null }[]): Promise<SealedStatement> {
    return this.#turns.run(() => this.#dealings.seal(planHash, joins, deals, pieces));
  }

  check(planHash: string, sealed: readonly SealedStatement[]): Promise<ReshardCheck> {
    return this.#turns.run(() => this.#dealings.check(planHash, sealed));
  }

  /** All CHECK → PREPARED: every share durable as *next*, read back and opened, before this is signed. */
  prepare(planHash: string, checks: readonly ReshardCheck[]): Promise<BatchPrepared> {
    return this.#turns.run(async () => {
      const { records, store, hsm, site, box } = this.#parts;
      const attempt = this.#get(planHash);
      const { plan } = attempt;
      this.#requireHolder(plan);
      const made = recordsOf(plan, checks);
      const batch = batchHash(site, planHash, hashesOf(made));
      const step = this.#step(attempt, "prepare");
      if (step.move === "store-next") {
        const transcript = this.#dealings.published(planHash, checks);
        const verdict = await judgeReshardChecks(plan, transcript, checks, records.current);
        if (verdict.kind !== "accepted") throw new Refusal("DEAL_REFUSED", `the deals are not a sharing of the same keys: ${verdict.kind}`);
        const vault = this.#shelf.vault();
        const shares = made.flatMap((record) => {
          const name = this.#shelf.nameIn(record);
          return name === undefined ? [] : [{ record, aad: atRestAad(site, name, keyRecordHash(record)), digestPrefix: sharePrefix(site, name), digest: bytesOf(name.digest) }];
        });
        const sealed = await hsm.commitDealt({ id: planHash, vault, shards: shares });
        const next = sealed.flatMap(({ iv, ct, tag }, i): Shelved[] => {
          const record = shares[i]?.record;
          return record === undefined ? [] : [{ state: "next", record, prepared: [], generation: vault.generation, sealed: { iv: toBase64url(iv), ct: toBase64url(ct), tag: toBase64url(tag) } }];
        });
        await store.commit([...this.#attempts.put({ ...attempt, stage: step.to, batch }), ...next.map((one) => this.#shelf.put(one))]);
        await this.#dealings.close(planHash);
      } else if (attempt.batch !== batch) throw new Refusal("DEAL_REFUSED", `${box} has prepared other records under this plan`);
      await this.#requireNextOpens(plan);
      return await signAs(this.#parts, "batch-prepared", { plan: planHash, batch });
    });
  }

  /** Certificate P, with PROVED where only t witnesses were → ACTIVATED. */
  activate(planHash: string, prepared: readonly BatchPrepared[], proof: ProvedUse | null): Promise<BatchActivated> {
    return this.#turns.run(async () => {
      const attempt = this.#get(planHash);
      const { batch, plan } = attempt;
      if (batch === null || !isPreparedByAll(plan, batch, prepared, this.#parts.records.current)) throw new Refusal("CERTIFICATE_INVALID", "not every new holder has prepared these records");
      requireProved(plan, batch, proof, this.#parts.records.current);
      await this.#commit(attempt, this.#step(attempt, "activate"));
      return await signAs(this.#parts, "batch-activated", { plan: planHash, batch });
    });
  }

  /** Certificate D → DESTROYED, or null while a request on the old epoch still runs here. */
  settle({ plan, batch, activated, resolution }: Settlement): Promise<BatchDestroyed | null> {
    return this.#turns.run(async () => {
      if (!isSettled({ plan, batch, activated }, this.#parts.records.current)) throw new Refusal("CERTIFICATE_INVALID", "too few new holders have activated this attempt");
      const attempt = this.#getOrBegin(plan);
      if (attempt.batch !== null && attempt.batch !== batch) throw new Refusal("CERTIFICATE_INVALID", "the certificate is for other records than those prepared here");
      // Whoever has not answered settles by D alone.
      const answers = resolution !== undefined && isTwoSettled(plan, resolution, this.#parts.records.current) ? resolution : undefined;
      const answer = answers === undefined ? attempt.answer : answered(this.#parts.box, attempt, answers.gone, "settled");
      await this.#commit({ ...attempt, batch, activated, ...(answer === undefined ? {} : { answer }) }, this.#step(attempt, answers === undefined ? "settle" : "forward"));
      return await this.#destroyed(plan, "old");
    });
  }

  /** The coordinator's order → BURN; never after ACTIVATED. */
  burn(plan: ReshardPlan): Promise<BatchBurn> {
    return this.#turns.run(async () => {
      this.#requireHolder(plan);
      this.#requireOrder(plan);
      const attempt = this.#getOrBegin(plan);
      await this.#commit(attempt, this.#step(attempt, "burn"));
      await this.#dealings.closeReceiving(statementHash(plan));
      return await signAs(this.#parts, "batch-burn", { plan: statementHash(plan) });
    });
  }

  /** The BURN certificate → what was made under the plan is destroyed. */
  bury(burial: Burial): Promise<BatchDestroyed | null> {
    return this.#turns.run(async () => {
      const { plan } = burial;
      if (!isBuried(burial, this.#parts.records.current)) throw new Refusal("CERTIFICATE_INVALID", "too few new holders have signed BURN for this attempt");
      const attempt = this.#getOrBegin(plan);
      if ("burns" in burial) await this.#commit(attempt, this.#step(attempt, "bury"));
      else await this.#commit({ ...attempt, answer: answered(this.#parts.box, attempt, burial.resolution.gone, "old") }, this.#step(attempt, "back"));
      await this.#dealings.closeReceiving(statementHash(plan));
      return await this.#destroyed(plan, "next");
    });
  }

  /** People say who is gone → this box's one answer, to this list, for ever; with D, if it has it (docs/resharding.md, RESOLVE). */
  resolve(plan: ReshardPlan, approval: Approval): Promise<{ resolved: BatchResolved; activated: BatchActivated[] }> {
    return this.#turns.run(async () => {
      this.#requireOrder(plan);
      const attempt = this.#getOrBegin(plan);
      const step = this.#step(attempt, "resolve");
      const answer = await answerTo(this.#parts, this.#shelf, this.#approvals, attempt, approval, step.to === "settled" ? "settled" : "old");
      await this.#commit({ ...attempt, answer }, step);
      await this.#dealings.closeReceiving(statementHash(plan));
      return { resolved: await signAs(this.#parts, "batch-resolved", { plan: statementHash(plan), ...answer }), activated: attempt.activated ?? [] };
    });
  }

  /** In a burnt attempt only: what is opened then is of shares that never come into force. */
  reveal(planHash: string, check: ReshardCheck): Promise<string> {
    return this.#turns.run(async () => {
      if (this.#get(planHash).stage !== "burnt") throw new Refusal("ATTEMPT_OPEN", "no seal is opened before the BURN certificate");
      return await this.#dealings.reveal(planHash, check);
    });
  }

  #get(planHash: string): KeptAttempt {
    const attempt = this.#attempts.get(planHash);
    if (attempt === undefined) throw new Refusal("ATTEMPT_LOST", `${this.#parts.box} knows no such attempt`);
    return attempt;
  }

  /** A certificate or an order may be the first that a box hears of an attempt: it was away. */
  #getOrBegin(plan: ReshardPlan): KeptAttempt {
    return this.#attempts.get(statementHash(plan)) ?? { plan, stage: "joined", batch: null, changed: false };
  }

  #requireHolder(plan: ReshardPlan): void {
    const { box } = this.#parts;
    if (!plan.body.holders.some((holder) => holder.box === box)) throw new Refusal("NOT_A_HOLDER", `the plan does not make ${box} a holder`);
  }

  #requireOrder(plan: ReshardPlan): void {
    if (!isPlanned(plan, this.#parts.records.current)) throw new Refusal("PLAN_REFUSED", "the plan is not signed by the coordinator");
    this.#requireNotPast(plan);
  }

  /**
   * An order may be for an attempt that was settled here and is forgotten: then ACTIVATED was signed. A number that is
   * used up says nothing where the box still serves the epoch before: a restored coordinator begins too low.
   */
  #requireNotPast(plan: ReshardPlan): void {
    if (this.#attempts.get(statementHash(plan)) !== undefined) return;
    const past = plan.body.keys.find(({ key, epoch, attempt }) => {
      const current = this.#shelf.get(key, "current")?.record;
      const last = this.#attempts.last(key);
      // Nor one so far ahead that the number alone would use up all that may follow.
      return attempt > last + mostJump || (current === undefined ? attempt <= last : epoch <= current.epoch);
    });
    if (past !== undefined) throw new Refusal("ATTEMPT_OVER", `attempt ${past.attempt} for ${past.key} is past, or far ahead, at ${this.#parts.box}`);
  }

  #step({ stage }: KeptAttempt, event: AttemptEvent): Transition {
    const step = stepAttempt(stage, event);
    if (step === null && isBound(stage)) throw new Refusal("ATTEMPT_ANSWERED", `${this.#parts.box} has answered in this attempt: only the answers of all move it, and it does not ${event}`);
    if (step === null) throw new Refusal("ATTEMPT_OVER", `${this.#parts.box} is at ${stage} in this attempt and does not ${event}`);
    return step;
  }

  /** Stage and shards in one batch: whatever is said afterwards is durable. */
  async #commit(attempt: KeptAttempt, { to, move }: Transition): Promise<void> {
    const known = this.#attempts.get(statementHash(attempt.plan));
    if (to === attempt.stage && move === "none" && known !== undefined && (known.answer !== undefined || attempt.answer === undefined)) return;
    const { plan } = attempt;
    const moves = movesOf(this.#shelf, plan, move);
    const inForce = move === "promote" || move === "promote-and-retire" || move === "retire";
    // A certificate that is shown once more, long after, changes nothing and begins no window.
    const changed = attempt.changed || (inForce && moves.length > 0 && this.#changesHolders(plan));
    await this.#attempts.commit([...this.#attempts.put({ ...attempt, stage: to, changed }), ...moves]);
    this.#parts.log.info("re-shard", { keys: plan.body.keys.length, key: plan.body.keys[0]?.key ?? "", attempt: plan.body.keys[0]?.attempt ?? 0, stage: to });
  }

  #changesHolders({ body }: ReshardPlan): boolean {
    return body.keys.some(({ key, previous }) => {
      const before = this.#shelf.find(key, previous)?.record.holders;
      if (before === undefined) return true;
      const { leave, come } = changes(before, body.holders);
      return leave + come > 0;
    });
  }

  async #requireNextOpens(plan: ReshardPlan): Promise<void> {
    const next = plan.body.keys.flatMap(({ key }) => this.#shelf.get(key, "next") ?? []);
    const opens = await this.#parts.hsm.checkShards(this.#shelf.batch(next));
    const opened = new Set(next.filter((_, i) => opens[i] === true).map(({ record }) => record.key));
    const closed = plan.body.keys.find(({ key }) => !opened.has(key));
    if (closed !== undefined) throw new Refusal("DEAL_REFUSED", `the new share of ${closed.key} does not open again at ${this.#parts.box}`);
  }

  async #destroyed(plan: ReshardPlan, of: "old" | "next"): Promise<BatchDestroyed | null> {
    if (!await this.#generations.sweep(this.#isUsed)) {
      this.#sweepSoon(sweepAgainMs);
      return null;
    }
    const { backing } = await this.#parts.hsm.info();
    return await signAs(this.#parts, "batch-destroyed", { plan: statementHash(plan), of, hsm: backing });
  }

  /** Also with no coordinator there: what may go goes. */
  #sweepSoon(ms: number): void {
    this.#parts.clock.after(ms, () => {
      this.#turns.run(() => this.#generations.sweep(this.#isUsed)).then(
        (done) => { if (!done) this.#sweepSoon(sweepAgainMs); },
        (error: unknown) => { this.#parts.log.error("retired shards not destroyed", { error: String(error) }); },
      );
    });
  }
}

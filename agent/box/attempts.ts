import { z } from "zod";
import { counter, hash } from "../protocol/primitives.ts";
import { batchActivated, batchResolved, reshardPlan, type ReshardPlan } from "../protocol/reshard.ts";
import { statementHash } from "../protocol/statement.ts";
import { isOver, type Stage } from "../rules/reshard/attempt.ts";
import { isUnproven } from "../rules/reshard/proof.ts";
import type { Clock } from "../runtime/clock.ts";
import { getJson, putJson } from "../store/json.ts";
import type { Change, Store } from "../store/store.ts";
import { JsonTable } from "../store/table.ts";

const stages = ["joined", "renounced", "prepared", "withdrawn", "activated", "answered", "answered-active", "settled", "burnt"] as const satisfies readonly Stage[];

const kept = z.strictObject({
  plan: reshardPlan,
  stage: z.enum(stages),
  /** Over the new records; known from PREPARED on. */
  batch: hash.nullable(),
  /** Whether this attempt brought or took a holder, and came into force here. */
  changed: z.boolean(),
  /** Certificate D, where it is in hand: who settled shows it. */
  activated: z.array(batchActivated).optional(),
  /** What was answered to people, or what all the answers made of this box. */
  answer: batchResolved.shape.body.omit({ plan: true }).optional(),
});
export type KeptAttempt = z.infer<typeof kept>;

/** What this box durably knows of the attempts that it took part in, or was shown a certificate of. */
export class Attempts {
  readonly #store: Store;
  readonly #table: JsonTable<typeof kept>;
  readonly #clock: Clock;
  readonly #windowMs: number;
  readonly #onOpen: (isAnyOpen: boolean) => void;
  readonly #changedAt = new Map<string, number>();

  /** `onOpen` is told at once, and after every commit, whether the certificate of any attempt is still wanted. */
  constructor(store: Store, clock: Clock, windowMs: number, onOpen: (isAnyOpen: boolean) => void = () => undefined) {
    this.#store = store;
    this.#table = new JsonTable(store, "reshard/", kept);
    this.#clock = clock;
    this.#windowMs = windowMs;
    this.#onOpen = onOpen;
    this.#noteChanges();
    this.#tellOpen();
  }

  get(planHash: string): KeptAttempt | undefined {
    return this.#table.get(planHash);
  }

  all(): readonly KeptAttempt[] {
    return this.#table.all();
  }

  /** The highest attempt that this box joined or was shown; births count in the same row of numbers. */
  last(key: string): number {
    return getJson(this.#store, `attempt/${key}`, counter) ?? 0;
  }

  /** Stores a stage, and that these attempt numbers are used up. */
  put(attempt: KeptAttempt): Change[] {
    return [
      this.#table.put(statementHash(attempt.plan), attempt),
      ...attempt.plan.body.keys.filter(({ key, attempt: number }) => number > this.last(key)).map(({ key, attempt: number }) => putJson(`attempt/${key}`, number)),
    ];
  }

  /** Makes stages durable, with what else changes in the same batch. */
  async commit(changes: readonly Change[]): Promise<void> {
    await this.#store.commit(changes);
    this.#noteChanges();
    this.#tellOpen();
  }

  /** Whether the new shards of this attempt are prepared, and come into force only once an operation on them has proven them. */
  isToBeProven(planHash: string): boolean {
    const one = this.get(planHash);
    return one?.stage === "prepared" && isUnproven(one.plan);
  }

  /** The keys of attempts whose certificate is still wanted. */
  openKeys(): Set<string> {
    return new Set(this.#open.flatMap(({ plan }) => plan.body.keys.map(({ key }) => key)));
  }

  /** The keys of which a holder was changed within the window; one changed before our start counts from our start. */
  changedKeys(): Set<string> {
    return new Set(this.all().filter((one) => this.#isRecent(one)).flatMap(({ plan }) => plan.body.keys.map(({ key }) => key)));
  }

  /**
   * Attempts that are over, replaced for every key, and outside the window: nobody asks for them but by certificate. An
   * answer is for ever: forgotten, it could be given to a second list, or D be believed that it has ruled out.
   */
  prune(next: ReshardPlan): Change[] {
    const replaced = new Set(next.body.keys.map(({ key }) => key));
    return this.all().filter((one) => isOver(one.stage) && one.answer === undefined && !this.#isRecent(one) && one.plan.body.keys.every(({ key }) => replaced.has(key)))
      .map(({ plan }) => this.#table.del(statementHash(plan)));
  }

  /** A change counts from when it was durable, however slow the disk, and one of an earlier life from this one's start. */
  #noteChanges(): void {
    for (const { changed, plan } of this.all()) {
      const planHash = statementHash(plan);
      if (changed && !this.#changedAt.has(planHash)) this.#changedAt.set(planHash, this.#clock.now());
    }
  }

  #tellOpen(): void {
    this.#onOpen(this.#open.length > 0);
  }

  get #open(): readonly KeptAttempt[] {
    return this.all().filter(({ stage }) => !isOver(stage));
  }

  #isRecent({ changed, plan }: KeptAttempt): boolean {
    return changed && this.#clock.now() - (this.#changedAt.get(statementHash(plan)) ?? this.#clock.now()) < this.#windowMs;
  }
}

import type { Approval } from "../../protocol/approval.ts";
import type { KeyRecord } from "../../protocol/key-record.ts";
import type { ReshardParameters } from "../../protocol/request.ts";
import type { ReshardPlan } from "../../protocol/reshard.ts";
import { statementHash } from "../../protocol/statement.ts";
import { proposeApproved, type ApprovedPlan } from "../../rules/reshard/propose-approved.ts";
import type { BoxView, Wish } from "../../rules/reshard/propose.ts";
import { ShardkeepError } from "../../runtime/errors.ts";
import type { KeyShelf } from "../key-shelf.ts";
import type { CoordinatorParts } from "../parts.ts";
import type { Journal } from "./journal.ts";

export class ReshardError extends ShardkeepError<"UNKNOWN_KEY" | "RESHARD_HELD" | "RESHARD_FAILED"> {}

/** Whoever asked is told, instead of waiting for what does not come. */
export function heldError(key: string, why: string): ReshardError {
  return new ReshardError("RESHARD_HELD", `${key} is not re-sharded now: ${why}`, { remedy: "`shardkeep status` shows the boxes; docs/operations.md, Re-sharding, says what each hold waits for", retryable: true });
}

export function unknownKey(key: string): ReshardError {
  return new ReshardError("UNKNOWN_KEY", `there is no key ${key}`, { remedy: "shardkeep key list" });
}

/** An attempt that is to begin; `old` are the holders of the epoch before. */
export interface Attempt { readonly plan: ReshardPlan; readonly old: readonly string[]; readonly approval: Approval | null }
interface Job extends Attempt {
  readonly key: string;
  readonly resolve: (record: KeyRecord) => void;
  readonly reject: (error: ReshardError) => void;
}

/** What it needs of the resharder. */
export interface Around {
  readonly views: () => readonly BoxView[];
  readonly wish: (record: KeyRecord) => Wish;
  /** Nothing is begun: too few boxes are there at once. */
  readonly isHeld: () => boolean;
  readonly sign: (plan: ApprovedPlan, record: KeyRecord, request: string) => Promise<ReshardPlan>;
  readonly consider: () => void;
}

/**
 * Re-shards that people approve. The plan is made before they are asked, for their evidence is for exactly that plan:
 * it is carried out as it is, or not at all, and a second try is a second request.
 */
export class ApprovedReshards {
  readonly #parts: CoordinatorParts;
  readonly #keys: KeyShelf;
  readonly #journal: Journal;
  readonly #around: Around;
  readonly #waiting: Job[] = [];
  readonly #begun = new Map<string, Job>();

  constructor(parts: CoordinatorParts, keys: KeyShelf, journal: Journal, around: Around) {
    this.#parts = parts;
    this.#keys = keys;
    this.#journal = journal;
    this.#around = around;
  }

  /** What people are going to be asked for. Its attempt number stays free: a lost holder is cut out meanwhile. Rejects with UNKNOWN_KEY, RESHARD_HELD. */
  async plan(key: string, wanted: ReshardParameters, request: string): Promise<ReshardPlan> {
    const record = this.#keys.get(key)?.record;
    if (record === undefined) throw unknownKey(key);
    if (this.#around.isHeld()) throw heldError(key, "our-network");
    if (this.#journal.busyKeys().has(key)) throw heldError(key, "an attempt is under way");
    const proposal = proposeApproved(record, this.#around.views(), wanted, this.#around.wish(record));
    if (proposal.kind === "hold") throw heldError(key, [proposal.why, ...proposal.boxes].join(" "));
    return await this.#around.sign(proposal, record, request);
  }

  /** Resolves with the new record once it is in force. Rejects with RESHARD_HELD, RESHARD_FAILED. */
  async carryOut(plan: ReshardPlan, approval: Approval): Promise<KeyRecord> {
    const { clock, config } = this.#parts;
    const key = approval.fields.use.body.key;
    const old = this.#keys.get(key)?.record.holders.map(({ box }) => box) ?? [];
    let cancel: () => void = () => undefined;
    try {
      return await new Promise<KeyRecord>((resolve, reject) => {
        const job: Job = { plan, old, approval, key, resolve, reject };
        // As long as all steps may take, and one more attempt before it.
        cancel = clock.after(12 * config.reshardStepMs, () => { this.#giveUp(job); });
        this.#waiting.push(job);
        this.#around.consider();
      });
    } finally {
      cancel();
    }
  }

  /** The next attempt to begin, if its plan still follows the key's record; who waits for another is told. */
  next(): Attempt | undefined {
    for (let job = this.#waiting.shift(); job !== undefined; job = this.#waiting.shift()) {
      const { plan, key } = job;
      const [planned] = plan.body.keys;
      // Every attempt since, and so every new record, has taken its number.
      const follows = planned !== undefined && planned.attempt > this.#keys.lastAttempt(key);
      if (this.#around.isHeld()) job.reject(heldError(key, "our-network"));
      else if (!follows) job.reject(failed(key, "it was re-sharded, or tried to be, while people were asked"));
      else {
        this.#begun.set(statementHash(plan), job);
        return job;
      }
    }
    return undefined;
  }

  settled(planHash: string): void {
    const job = this.#begun.get(planHash);
    const record = job === undefined ? undefined : this.#keys.get(job.key)?.record;
    if (record !== undefined) job?.resolve(record);
    this.#begun.delete(planHash);
  }

  failed(planHash: string, why: string): void {
    const job = this.#begun.get(planHash);
    job?.reject(failed(job.key, why));
    this.#begun.delete(planHash);
  }

  #giveUp(job: Job): void {
    const at = this.#waiting.indexOf(job);
    if (at >= 0) {
      this.#waiting.splice(at, 1);
      job.reject(heldError(job.key, "another attempt is under way"));
    } else {
      this.#begun.delete(statementHash(job.plan));
      job.reject(heldError(job.key, "the attempt is under way, or its shards are stored and not yet in force; it goes on by itself"));
    }
  }
}

function failed(key: string, why: string): ReshardError {
  return new ReshardError("RESHARD_FAILED", `${key} was not re-sharded: ${why}. What people approved was this one attempt; the old shards serve on`, { remedy: "`shardkeep status` shows the boxes; then ask again", retryable: true });
}

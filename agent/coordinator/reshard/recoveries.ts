import type { Approval } from "../../protocol/approval.ts";
import type { KeyRecord } from "../../protocol/key-record.ts";
import type { RecoverParameters } from "../../protocol/request.ts";
import { participantsOf, type ReshardPlan } from "../../protocol/reshard.ts";
import { statementHash } from "../../protocol/statement.ts";
import { isDecided } from "../../rules/reshard/drive.ts";
import { askedOf, goneOf, isSameGone, isWorthAsking, judgeRecovery, oldAsked } from "../../rules/reshard/resolution.ts";
import { ShardkeepError } from "../../runtime/errors.ts";
import type { Fleet } from "../fleet.ts";
import type { KeyShelf } from "../key-shelf.ts";
import type { CoordinatorParts } from "../parts.ts";
import { unknownKey } from "./approved.ts";
import type { Driver } from "./driver.ts";
import type { Entry, Journal } from "./journal.ts";

export class RecoverError extends ShardkeepError<"RECOVER_HELD"> {}

function held(key: string, why: string): RecoverError {
  return new RecoverError("RECOVER_HELD", `the attempt on ${key} is not ended: ${why}`, { remedy: "`shardkeep status` shows attempts and boxes; docs/operations.md, An attempt that can not end", retryable: true });
}

/** RESOLVE: attempts that can reach neither certificate, ended by people who say which boxes are gone (docs/resharding.md). */
export class Recoveries {
  readonly #parts: CoordinatorParts;
  readonly #fleet: Fleet;
  readonly #keys: KeyShelf;
  readonly #journal: Journal;
  readonly #driver: Driver;
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(parts: CoordinatorParts, fleet: Fleet, keys: KeyShelf, journal: Journal, driver: Driver) {
    this.#parts = parts;
    this.#fleet = fleet;
    this.#keys = keys;
    this.#journal = journal;
    this.#driver = driver;
  }

  /**
   * The attempt that people are going to be asked about. Each box answers one list only, so that whatever can be wrong
   * with the list is said before anybody is asked. Throws UNKNOWN_KEY, RECOVER_HELD.
   */
  plan(key: string, { gone }: RecoverParameters): ReshardPlan {
    if (this.#keys.get(key) === undefined) throw unknownKey(key);
    const entry = this.#journal.all().find(({ plan, phase }) => !isDecided(phase) && plan.body.keys.some((one) => one.key === key));
    if (entry === undefined) throw held(key, "none is under way");
    if (entry.phase === "planned" || entry.phase === "unproven") throw held(key, `it is ${entry.phase} and ends by itself`);
    this.#requireSound(key, entry, [...gone].sort());
    return entry.plan;
  }

  /** Resolves with the record in force once the attempt is over. Rejects with RECOVER_HELD, or as a box would refuse. */
  async carryOut(plan: ReshardPlan, approval: Approval): Promise<KeyRecord> {
    const { clock, config, site } = this.#parts;
    const { fields, evidence } = approval;
    const { key } = fields.use.body;
    const planHash = statementHash(plan);
    const gone = goneOf(fields);
    judgeRecovery(plan, fields, evidence, { siteRecord: site.current, isQuarantined: (box) => this.#fleet.isQuarantined(box) });
    const entry = this.#journal.get(planHash);
    // Somebody came back, or fell silent, while people were asked.
    if (entry !== undefined && !isDecided(entry.phase)) this.#requireSound(key, entry, gone);
    let stop: () => void = () => undefined;
    const decided = new Promise<boolean>((resolve) => {
      const told = (): void => { resolve(true); };
      const waiting = this.#waiting.get(planHash) ?? new Set();
      this.#waiting.set(planHash, waiting.add(told));
      const cancel = clock.after(12 * config.reshardStepMs, () => { resolve(false); });
      stop = () => { waiting.delete(told); cancel(); };
    });
    try {
      if (!await this.#driver.recover(planHash, gone, approval)) throw held(key, "it ended by itself while people were asked");
      if (!await decided) throw held(key, "the boxes are asked, and not all have answered; it goes on by itself");
      const record = this.#keys.get(key)?.record;
      if (record === undefined) throw unknownKey(key);
      return record;
    } finally {
      stop();
    }
  }

  decided(planHash: string): void {
    for (const told of this.#waiting.get(planHash) ?? []) told();
    this.#waiting.delete(planHash);
  }

  #requireSound(key: string, { plan, resolution }: Entry, gone: readonly string[]): void {
    if (resolution !== undefined && !isSameGone(resolution.gone, gone)) throw held(key, `the boxes were asked already, with ${resolution.gone.join(" ")} gone, and answer that list only`);
    const participants = participantsOf(plan);
    const stranger = gone.find((box) => !participants.includes(box));
    if (stranger !== undefined) throw held(key, `${stranger} takes no part in it: ${participants.join(" ")} do`);
    const present = gone.filter((box) => this.#fleet.isLive(box));
    if (present.length > 0) throw held(key, `${present.join(" ")} is there, and not gone`);
    if (!isWorthAsking(plan, gone)) throw held(key, `${oldAsked(plan, gone).length} old holders would be asked, and one that lies is believed with less than ${plan.body.threshold + 1}`);
    const silent = askedOf(plan, gone).filter((box) => !this.#fleet.isLive(box));
    if (silent.length > 0) throw held(key, `${silent.join(" ")} must answer and is not there: wait for it, or name it gone as well`);
  }
}

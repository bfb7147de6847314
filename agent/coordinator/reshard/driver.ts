import { boxRequests } from "../../protocol/messages.ts";
import type { BatchActivated, BatchBurn, BatchDestroyed } from "../../protocol/reshard.ts";
import { isByBox } from "../../rules/birth.ts";
import { doubleSigners, isBuried, isSettled } from "../../rules/reshard/certificates.ts";
import { driveTable, isDecided, stepDrive } from "../../rules/reshard/drive.ts";
import { Turns } from "../../runtime/turns.ts";
import type { Fleet } from "../fleet.ts";
import type { KeyShelf } from "../key-shelf.ts";
import type { CoordinatorParts } from "../parts.ts";
import type { Entry, Journal } from "./journal.ts";
import { planHashOf } from "./plan-hash.ts";

/**
 * Carries every attempt to its end: shows each phase's message to all who have not answered it, at every
 * beat, whatever crashed in between. A certificate is journalled before anybody is shown it.
 */
export class Driver {
  readonly #parts: CoordinatorParts;
  readonly #fleet: Fleet;
  readonly #keys: KeyShelf;
  readonly #journal: Journal;
  readonly #asking = new Set<string>();
  readonly #signed = new Map<string, { readonly activated: Map<string, BatchActivated>; readonly burns: Map<string, BatchBurn> }>();
  /** A second signature must not decide what the first is just deciding. */
  readonly #turns = new Turns();
  #onDecided: (entry: Entry) => void = () => undefined;

  constructor(parts: CoordinatorParts, fleet: Fleet, keys: KeyShelf, journal: Journal) {
    this.#parts = parts;
    this.#fleet = fleet;
    this.#keys = keys;
    this.#journal = journal;
  }

  onDecided(handler: (entry: Entry) => void): void {
    this.#onDecided = handler;
  }

  /** Goes on with every attempt, or with what concerns one box that was just heard. */
  drive(box?: string): void {
    for (const entry of this.#journal.all()) {
      const { shows } = driveTable[entry.phase];
      if (shows === null || this.#journal.isFinished(entry)) continue;
      for (const to of this.#audience(entry)) if ((box === undefined || box === to) && this.#fleet.isReachable(to)) void this.#show(entry, to);
    }
  }

  /** To a box that says an attempt is open there: it was set back, or its answer was made up. */
  showAgain(box: string): void {
    for (const entry of this.#journal.all()) {
      if (isDecided(entry.phase) && this.#journal.concerned(entry).includes(box)) void this.#show(entry, box);
    }
  }

  /** How many live boxes have the new records as *current*. */
  activatedLive(planHash: string): number {
    return [...this.#of(planHash).activated.keys()].filter((box) => this.#fleet.isLive(box)).length;
  }

  /** Who has not answered what this phase shows. */
  #audience(entry: Entry): string[] {
    const planHash = planHashOf(entry.plan);
    const holders = entry.plan.body.holders.map(({ box }) => box);
    const { activated, burns } = this.#of(planHash);
    switch (entry.phase) {
      case "planned":
      case "unproven": return [];
      case "certified": return holders.filter((box) => !activated.has(box));
      case "burning": return holders.filter((box) => !burns.has(box));
      case "settled":
      case "burnt": return this.#journal.concerned(entry).filter((box) => !this.#journal.destroyedOf(planHash).has(box));
    }
  }

  async #show(entry: Entry, box: string): Promise<void> {
    const planHash = planHashOf(entry.plan);
    const name = `${planHash} ${box} ${entry.phase}`;
    if (this.#asking.has(name)) return;
    this.#asking.add(name);
    try {
      await this.#ask(entry, planHash, box);
    } catch (error) {
      this.#parts.log.warn("re-shard not shown", { box, phase: entry.phase, error: String(error) });
    } finally {
      this.#asking.delete(name);
    }
  }

  async #ask(entry: Entry, planHash: string, box: string): Promise<void> {
    const { exchange, config } = this.#parts;
    const { plan } = entry;
    const options = { deadlineMs: config.reshardStepMs };
    switch (entry.phase) {
      case "planned":
      case "unproven": return;
      case "certified": {
        const { activated } = await exchange.request(boxRequests, "reshard-activate", box, { plan: planHash, prepared: entry.prepared, proof: entry.proof }, options);
        await this.#took(planHash, box, activated, () => { this.#of(planHash).activated.set(box, activated); });
        return;
      }
      case "burning": {
        const { burn } = await exchange.request(boxRequests, "reshard-burn", box, { plan }, options);
        await this.#took(planHash, box, burn, () => { this.#of(planHash).burns.set(box, burn); });
        return;
      }
      case "settled": {
        const { destroyed } = await exchange.request(boxRequests, "reshard-settle", box, { plan, batch: entry.batch ?? "", activated: entry.activated }, options);
        await this.#keepDestroyed(planHash, box, "old", destroyed);
        return;
      }
      case "burnt": {
        const { destroyed } = await exchange.request(boxRequests, "reshard-bury", box, { plan, burns: entry.burns }, options);
        await this.#keepDestroyed(planHash, box, "next", destroyed);
      }
    }
  }

  async #took(planHash: string, box: string, statement: BatchActivated | BatchBurn, keep: () => void): Promise<void> {
    if (statement.by !== box || statement.body.plan !== planHash || !isByBox(statement, this.#parts.site.current)) {
      this.#parts.log.warn("re-shard statement not its own", { box });
      return;
    }
    keep();
    await this.#turns.run(() => this.#decide(planHash));
  }

  async #keepDestroyed(planHash: string, box: string, of: "old" | "next", destroyed: BatchDestroyed | null): Promise<void> {
    if (destroyed === null) return;
    if (destroyed.by !== box || destroyed.body.plan !== planHash || destroyed.body.of !== of || !isByBox(destroyed, this.#parts.site.current)) {
      this.#parts.log.warn("re-shard statement not its own", { box });
      return;
    }
    await this.#journal.destroyed(destroyed);
  }

  /** Whether enough have signed; the certificate is journalled, with what follows from it, in one batch. */
  async #decide(planHash: string): Promise<void> {
    const entry = this.#journal.get(planHash);
    if (entry === undefined) return;
    const { plan, batch } = entry;
    const record = this.#parts.site.current;
    const activated = [...this.#of(planHash).activated.values()];
    const burns = [...this.#of(planHash).burns.values()];
    for (const liar of doubleSigners(plan, activated, burns, record)) await this.#fleet.quarantine(liar, "SIGNED_BOTH_WAYS");
    if (batch !== null && isSettled({ plan, batch, activated }, record)) {
      const next = stepDrive(entry.phase, "activated-enough");
      if (next === null) return;
      await this.#end({ ...entry, phase: next, activated });
    } else if (isBuried({ plan, burns }, record)) {
      const next = stepDrive(entry.phase, "burnt-enough");
      if (next === null) return;
      await this.#end({ ...entry, phase: next, burns });
    }
  }

  async #end(entry: Entry): Promise<void> {
    const planHash = planHashOf(entry.plan);
    const records = entry.phase === "settled" ? this.#journal.recordsOf(planHash) : [];
    await this.#journal.put(entry, this.#keys.changes(records));
    this.#keys.took(records);
    this.#parts.log.info("re-shard decided", { keys: entry.plan.body.keys.length, reason: entry.plan.body.reason, phase: entry.phase });
    this.#onDecided(entry);
    this.drive();
  }

  #of(planHash: string) {
    let signed = this.#signed.get(planHash);
    if (signed === undefined) {
      const entry = this.#journal.get(planHash);
      signed = {
        activated: new Map((entry?.activated ?? []).map((one) => [one.by, one])),
        burns: new Map((entry?.burns ?? []).map((one) => [one.by, one])),
      };
      this.#signed.set(planHash, signed);
    }
    return signed;
  }
}

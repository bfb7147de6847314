import type { Approval } from "../../protocol/approval.ts";
import { boxRequests } from "../../protocol/messages.ts";
import type { BatchActivated, BatchBurn, BatchDestroyed, BatchResolved, Resolution } from "../../protocol/reshard.ts";
import { statementHash } from "../../protocol/statement.ts";
import { isByBox } from "../../rules/birth.ts";
import { doubleSigners, isBuried, isSettled } from "../../rules/reshard/certificates.ts";
import { driveTable, isDecided, stepDrive, type Phase } from "../../rules/reshard/drive.ts";
import { askedOf, isAllOld, isSameGone, isTwoSettled } from "../../rules/reshard/resolution.ts";
import { Turns } from "../../runtime/turns.ts";
import type { Fleet } from "../fleet.ts";
import type { KeyShelf } from "../key-shelf.ts";
import type { CoordinatorParts } from "../parts.ts";
import type { Entry, Journal } from "./journal.ts";

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
    const planHash = statementHash(entry.plan);
    const holders = entry.plan.body.holders.map(({ box }) => box);
    const { activated, burns } = this.#of(planHash);
    switch (entry.phase) {
      case "planned":
      case "unproven": return [];
      case "certified": return holders.filter((box) => !activated.has(box));
      case "burning": return holders.filter((box) => !burns.has(box));
      case "resolving": {
        const { gone = [], answers = [] } = entry.resolution ?? {};
        return askedOf(entry.plan, gone).filter((box) => !answers.some(({ by }) => by === box));
      }
      case "settled":
      case "burnt": return this.#journal.concerned(entry).filter((box) => !this.#journal.destroyedOf(planHash).has(box));
    }
  }

  async #show(entry: Entry, box: string): Promise<void> {
    const planHash = statementHash(entry.plan);
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
      case "resolving": {
        if (entry.resolution === undefined) return;
        const { resolved, activated } = await exchange.request(boxRequests, "reshard-resolve", box, { plan, approval: entry.resolution.approval }, options);
        await this.#turns.run(() => this.#answered(planHash, box, resolved, activated));
        return;
      }
      case "settled": {
        const { destroyed } = await exchange.request(boxRequests, "reshard-settle", box, { plan, batch: entry.batch ?? "", activated: entry.activated, ...(entry.resolution === undefined ? {} : { resolution: certified(entry.resolution) }) }, options);
        await this.#keepDestroyed(planHash, box, "old", destroyed);
        return;
      }
      case "burnt": {
        const { destroyed } = await exchange.request(boxRequests, "reshard-bury", box, { plan, ...(entry.resolution === undefined ? { burns: entry.burns } : { resolution: certified(entry.resolution) }) }, options);
        await this.#keepDestroyed(planHash, box, "next", destroyed);
      }
    }
  }

  /** What people have said is durable before any box is asked; said again, it brings fresh evidence of the same. False: it has been decided. */
  recover(planHash: string, gone: readonly string[], approval: Approval): Promise<boolean> {
    return this.#turns.run(async () => {
      const entry = this.#journal.get(planHash);
      const next = entry?.phase === "resolving" ? entry.phase : entry === undefined ? null : stepDrive(entry.phase, "recovered");
      if (entry === undefined || next === null) return false;
      await this.#journal.put({ ...entry, phase: next, resolution: { gone: [...gone], approval, answers: entry.resolution?.answers ?? [] } });
      this.#parts.log.warn("re-shard recovery", { key: approval.fields.use.body.key, gone: gone.join(" "), asked: askedOf(entry.plan, gone).join(" ") });
      this.drive();
      return true;
    });
  }

  /** An answer is kept at once: it is not lost in a crash, nor asked for twice. */
  async #answered(planHash: string, box: string, resolved: BatchResolved, activated: readonly BatchActivated[]): Promise<void> {
    const entry = this.#journal.get(planHash);
    const { resolution } = entry ?? {};
    if (entry?.phase !== "resolving" || resolution === undefined) return;
    const { body } = resolved;
    if (resolved.by !== box || body.plan !== planHash || !isSameGone(body.gone, resolution.gone) || !isByBox(resolved, this.#parts.site.current)) {
      this.#parts.log.warn("re-shard statement not its own", { box });
      return;
    }
    for (const one of activated) if (one.body.plan === planHash && isByBox(one, this.#parts.site.current)) this.#of(planHash).activated.set(one.by, one);
    const heard = { ...entry, activated: [...this.#of(planHash).activated.values()], resolution: { ...resolution, answers: [...resolution.answers, resolved] } };
    const phase = this.#phaseAfter(heard);
    if (phase === null) await this.#journal.put(heard);
    else await this.#end({ ...heard, phase });
  }

  /** What all the answers come to. */
  #phaseAfter({ plan, phase, batch, activated, resolution }: Entry): Phase | null {
    const { current } = this.#parts.site;
    if (resolution === undefined) return null;
    const { gone, answers } = resolution;
    if (isAllOld(plan, { gone, answers }, current)) return stepDrive(phase, "answered-old");
    const isForward = batch !== null && isSettled({ plan, batch, activated }, current) && isTwoSettled(plan, { gone, answers }, current);
    return isForward ? stepDrive(phase, "answered-settled") : null;
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
    if (entry.resolution !== undefined) {
      // An ACTIVATED that was under way may have completed D.
      const next = this.#phaseAfter({ ...entry, activated });
      if (next !== null) await this.#end({ ...entry, phase: next, activated });
    } else if (batch !== null && isSettled({ plan, batch, activated }, record)) {
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
    const planHash = statementHash(entry.plan);
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

/** The evidence was judged by each box that answered. */
function certified({ gone, answers }: Resolution): Resolution {
  return { gone, answers };
}

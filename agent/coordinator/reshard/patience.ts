import type { KeyRecord } from "../../protocol/key-record.ts";
import type { ReshardPlan } from "../../protocol/reshard.ts";
import type { Wish } from "../../rules/reshard/propose.ts";
import type { CoordinatorParts } from "../parts.ts";
import type { BadDeal, Outcome } from "./attempt.ts";

const firstWaitMs = 1000;
const mostWaitMs = 60_000;
const mostLeftOut = 2;

interface Of {
  /** When the period is over. */
  dueAt: number;
  ordered: boolean;
  changedAt: number;
  failures: number;
  tryAt: number;
  /** Halves of a batch that somebody refused: keys of different parts go apart. */
  part: string;
  /** One box after the other, since the last good deal. */
  leftOut: string[];
  gaveUp: boolean;
}

/** When to try what again, and with whom not: the coordinator's memory of what went wrong, forgotten in a restart. */
export class Patience {
  readonly #parts: CoordinatorParts;
  readonly #keys = new Map<string, Of>();
  readonly #avoidUntil = new Map<string, number>();
  readonly #suspicion = new Map<string, number>();
  readonly #isUsed: (key: string) => boolean;

  constructor(parts: CoordinatorParts, isUsed: (key: string) => boolean) {
    this.#parts = parts;
    this.#isUsed = isUsed;
  }

  /** Before our start a holder may have been changed a moment ago: the window counts from now. */
  assumeChanged(key: string): void {
    this.#of(key).changedAt = this.#parts.clock.now();
  }

  /** Ordered: due at once. */
  order(key: string): void {
    Object.assign(this.#of(key), { ordered: true, tryAt: -Infinity, leftOut: [], gaveUp: false });
  }

  /** An order that was refused. */
  forget(key: string): void {
    this.#of(key).ordered = false;
  }

  mayTry(key: string): boolean {
    return this.#parts.clock.now() >= this.#of(key).tryAt;
  }

  part(key: string): string {
    return this.#of(key).part;
  }

  wish({ key }: KeyRecord): Wish {
    const now = this.#parts.clock.now();
    const { dueAt, ordered, changedAt, leftOut, gaveUp } = this.#of(key);
    return {
      due: ordered ? "order" : now >= dueAt + this.#grace(key) ? "period" : null,
      mayChange: now - changedAt >= this.#parts.config.reshardWindowMs,
      avoid: new Set([...this.#avoidUntil].filter(([, until]) => now < until).map(([box]) => box)),
      suspect: leftOut.at(-1) ?? null,
      gaveUp,
      zonesLimited: this.#parts.site.current.body.noZoneHoldsThreshold === true,
      suspicion: this.#suspicion,
    };
  }

  /** Whoever missed the deadline is left out of the next attempt; whoever dealt in a bad deal deals last. */
  failed({ body }: ReshardPlan, outcome: Exclude<Outcome, { kind: "prepared" }>): void {
    const now = this.#parts.clock.now();
    if (outcome.kind === "silent") for (const box of outcome.boxes) this.#avoidUntil.set(box, now + this.#parts.config.lostMs);
    body.keys.forEach(({ key }, i) => {
      const of = this.#of(key);
      of.failures += 1;
      of.tryAt = now + Math.min(mostWaitMs, firstWaitMs * 2 ** (of.failures - 1));
      // One key that a box refuses must not hold up the batch: it is halved until that key is alone.
      if (outcome.kind === "refused" && outcome.code === "PLAN_REFUSED" && body.keys.length > 1) of.part = `${of.part}${i < body.keys.length / 2 ? "0" : "1"}`;
    });
  }

  /**
   * Bad deals that named nobody: the next attempt leaves one box out, never the same one again, and after two such
   * the site holds and pages (protocol.md §7). That is suspicion, not proof.
   */
  badDeal({ body }: ReshardPlan, verdict: BadDeal["verdict"], named: boolean): void {
    if (named) return;
    const accused = accusedIn(body, verdict);
    for (const box of accused) this.#suspicion.set(box, this.#suspected(box) + 1);
    for (const { key } of body.keys) {
      const of = this.#of(key);
      const [next] = accused.filter((box) => !of.leftOut.includes(box)).sort((a, b) => this.#suspected(b) - this.#suspected(a));
      if (next === undefined || of.leftOut.length >= mostLeftOut) of.gaveUp = true;
      else of.leftOut.push(next);
    }
  }

  /** A new sharing was not of the same key, and all who could deal have dealt: nobody can be left out. */
  disproved({ body }: ReshardPlan): void {
    for (const { key } of body.keys) this.#of(key).gaveUp = true;
  }

  #suspected(box: string): number {
    return this.#suspicion.get(box) ?? 0;
  }

  settled(key: string, changed: boolean): void {
    const of = this.#of(key);
    const now = this.#parts.clock.now();
    Object.assign(of, { dueAt: now + this.#period(), ordered: false, failures: 0, tryAt: -Infinity, part: "", leftOut: [], gaveUp: false });
    if (changed) of.changedAt = now;
  }

  #of(key: string): Of {
    let of = this.#keys.get(key);
    if (of === undefined) {
      of = { dueAt: this.#parts.clock.now() + this.#period(), ordered: false, changedAt: -Infinity, failures: 0, tryAt: -Infinity, part: "", leftOut: [], gaveUp: false };
      this.#keys.set(key, of);
    }
    return of;
  }

  /** The calendar waits for people who are just touching, but no request holds it up for longer than one may last. */
  #grace(key: string): number {
    return this.#isUsed(key) ? this.#parts.config.operationMs : 0;
  }

  /** Jittered, so that the keys of a site do not come due together for ever. */
  #period(): number {
    const jitter = (this.#parts.random.bytes(1)[0] ?? 0) / 2560;
    return this.#parts.config.reshardPeriodMs * (1 - jitter);
  }
}

/** Off its degree is one dealer, or the holder that says so; a witness off the others' is named; sums that differ may be any dealer's. */
function accusedIn({ dealers, witnesses }: ReshardPlan["body"], verdict: BadDeal["verdict"]): string[] {
  const named = verdict.kind === "witnesses-off-degree" ? witnesses.filter(({ x }) => verdict.liars?.includes(x))
    : verdict.kind === "dealers-off-degree" ? dealers.filter(({ x }) => verdict.pairs.some(({ dealer }) => dealer === x)) : [];
  return (named.length > 0 ? named : dealers).map(({ box }) => box);
}

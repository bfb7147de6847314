import { bitsOf, boxEvents, refused } from "./roster.ts";
import { certificates, has, type State, type World } from "./world.ts";

/** What must hold in every reachable state, whoever crashed, lied or was not heard. */
export type Invariant =
  /**
   * At least t honest boxes serve the shards of one record (as *current* or *old*, not retired), at once or when
   * one certificate that exists has been shown to all of them. The liar's shards do not count.
   */
  | "key-kept"
  /** An honest box gives up a shard only when D of its successor exists, or BURN of the attempt that made it. */
  | "nothing-destroyed-early"
  /** D and BURN of one plan never both exist. */
  | "one-verdict"
  /** Of all plans that re-shard one record at most one has D. */
  | "one-successor"
  /** No honest box signs ACTIVATED and BURN of one plan. */
  | "one-side"
  /** With an honest coordinator and one box at fault, n' >= 4: some continuation ends with nothing open. */
  | "never-stuck";

/** Which certificate has a box do what. */
const showing = { P: "activate", D: "settle", BURN: "bury" } as const;

export class Judge {
  readonly #world: World;
  readonly #served: number[][] = [];

  constructor(world: World) {
    this.#world = world;
  }

  /** Whether this step takes a shard from a box without the certificate that allows it. */
  destroysEarly(from: number, to: number, { plans }: State): boolean {
    const { roster, setting } = this.#world;
    const lost = roster.held[from]! & ~roster.held[to]!;
    if (lost === 0) return false;
    return Array.from({ length: plans.length + 1 }, (_, record) => record).some((record) => (lost & (1 << record)) !== 0
      && !setting.plans.some(({ previous }, plan) => previous === record && has(plans[plan]!, "D"))
      && !(record > 0 && has(plans[record - 1]!, "BURN")));
  }

  /** The first that does not hold in this state by itself; null: all do. */
  broken({ boxes, plans }: State): Invariant | null {
    const { setting, roster } = this.#world;
    if (boxes.some((box) => roster.isFalse[box]!)) return "one-side";
    if (plans.some((plan) => has(plan, "D") && has(plan, "BURN"))) return "one-verdict";
    const successors = setting.plans.filter((_, plan) => has(plans[plan]!, "D")).map(({ previous }) => previous);
    if (new Set(successors).size < successors.length) return "one-successor";
    return this.#isKept(boxes, plans) ? null : "key-kept";
  }

  #isKept(boxes: readonly number[], plans: readonly number[]): boolean {
    if (this.#serves(boxes, 0)) return true;
    return plans.some((plan, p) => certificates.some((certificate, c) => has(plan, certificate) && this.#serves(boxes, 1 + p * certificates.length + c)));
  }

  #serves(boxes: readonly number[], shown: number): boolean {
    for (let record = 0; record <= this.#world.setting.plans.length; record++) {
      let count = 0;
      for (const box of boxes) if ((this.#servedBy(box, shown) & (1 << record)) !== 0) count += 1;
      if (count >= this.#world.setting.threshold) return true;
    }
    return false;
  }

  /** The records that a box serves when it has been shown nothing (0) or a certificate. */
  #servedBy(box: number, shown: number): number {
    const { roster } = this.#world;
    const memo = this.#served[box] ??= [];
    const known = memo[shown];
    if (known !== undefined) return known;
    let at = box;
    if (shown > 0) {
      const after = roster.after(box, boxEvents.indexOf(showing[certificates[(shown - 1) % certificates.length]!]), Math.floor((shown - 1) / certificates.length));
      if (after !== refused) at = after;
    }
    const { current, old } = roster.box(at);
    return memo[shown] = bitsOf([current, old]);
  }
}

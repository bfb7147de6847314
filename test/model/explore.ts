import { leastHolders } from "../../agent/rules/reshard/plan.ts";
import { Judge, type Invariant } from "./invariants.ts";
import { describe, picture } from "./words.ts";
import { World, type Action, type State } from "./world.ts";
import type { Rules } from "./rules.ts";
import type { Setting } from "./settings.ts";

export interface Violation {
  readonly invariant: Invariant;
  /** The shortest way to it, a sentence a step, and what the boxes have at its end. */
  readonly trace: readonly string[];
}

export interface Found {
  readonly setting: Setting;
  readonly states: number;
  readonly violations: number;
  /** The first of each invariant. */
  readonly examples: readonly Violation[];
  /** States in which neither certificate can form any more and people must decide (protocol.md §7, RESOLVE). */
  readonly needsPeople: number;
  readonly peopleExample: readonly string[] | null;
}

const early = "!";

/** All states that can be reached, nearest first. With `stopAtFirst` no further than the first violation. */
export async function explore(rules: Rules, setting: Setting, stopAtFirst = false): Promise<Found> {
  return new Exploration(await World.of(rules, setting)).run(stopAtFirst);
}

class Exploration {
  readonly #world: World;
  readonly #judge: Judge;
  readonly #index = new Map<string, number>();
  readonly #keys: string[] = [];
  readonly #parents: number[] = [];
  readonly #width: number;
  readonly #codes: number[] = [];

  constructor(world: World) {
    this.#world = world;
    this.#judge = new Judge(world);
    this.#width = world.roster.start.length;
  }

  run(stopAtFirst: boolean): Found {
    const examples = new Map<Invariant, number>();
    let violations = 0;
    this.#add(this.#key(this.#world.start(), false), -1);
    for (let at = 0; at < this.#keys.length && !(stopAtFirst && violations > 0); at++) {
      const state = this.#state(at);
      const broken = this.#keys[at]!.endsWith(early) ? "nothing-destroyed-early" : this.#judge.broken(state);
      if (broken !== null) {
        violations += 1;
        if (!examples.has(broken)) examples.set(broken, at);
        continue;
      }
      this.#world.steps(state, false, (next, action) => this.#add(this.#keyAfter(state, next, action), at));
    }
    const stuck = violations > 0 && stopAtFirst ? [] : this.#stuck();
    const decides = this.#world.setting.coordinator === "honest" && this.#faulty() <= 1 && this.#world.setting.plans.every(({ holders }) => holders.length > leastHolders);
    if (decides && stuck.length > 0) {
      violations += stuck.length;
      examples.set("never-stuck", stuck[0]!);
    }
    return {
      setting: this.#world.setting, states: this.#keys.length, violations,
      examples: [...examples].map(([invariant, at]) => ({ invariant, trace: this.#trace(at) })),
      needsPeople: decides ? 0 : stuck.length,
      peopleExample: decides || stuck.length === 0 ? null : this.#trace(stuck[0]!),
    };
  }

  #faulty(): number {
    const { liar, frail } = this.#world.setting;
    return frail.length + (liar === null ? 0 : 1);
  }

  /** States from which those that are not at fault cannot bring what is open to an end; nearest first. */
  #stuck(): number[] {
    const all = this.#keys.map((_, at) => at);
    if (this.#world.setting.coordinator === "lies") return all.filter((at) => this.#world.isSplit(this.#state(at)));
    const ends = new Uint8Array(this.#keys.length);
    // Steps lead away from the start, mostly: from the far end few rounds are needed.
    for (let grew = true; grew;) {
      grew = false;
      for (let at = ends.length - 1; at >= 0; at--) {
        if (ends[at] === 1) continue;
        const state = this.#state(at);
        let ended = this.#world.isDone(state);
        if (!ended) this.#world.steps(state, true, (next) => { ended ||= ends[this.#index.get(this.#key(next, false)) ?? -1] === 1; });
        if (ended) {
          ends[at] = 1;
          grew = true;
        }
      }
    }
    return all.filter((at) => ends[at] === 0);
  }

  #add(key: string, parent: number): void {
    if (this.#index.has(key)) return;
    this.#index.set(key, this.#keys.length);
    this.#keys.push(key);
    this.#parents.push(parent);
  }

  #keyAfter(state: State, next: State, { actor }: Action): string {
    return this.#key(next, actor >= 0 && this.#judge.destroysEarly(state.boxes[actor]!, next.boxes[actor]!, next));
  }

  /** Boxes that are alike in everything are interchangeable, so their order is none. */
  #key({ boxes, plans }: State, isEarly: boolean): string {
    const codes = this.#codes;
    boxes.forEach((box, i) => {
      let at = i;
      for (; at > 0 && codes[at - 1]! > box; at--) codes[at] = codes[at - 1]!;
      codes[at] = box;
    });
    plans.forEach((plan, i) => { codes[boxes.length + i] = plan; });
    return String.fromCharCode.apply(null, codes) + (isEarly ? early : "");
  }

  #state(at: number): State {
    const key = this.#keys[at]!;
    const codes = Array.from({ length: this.#width + this.#world.setting.plans.length }, (_, i) => key.charCodeAt(i));
    return { boxes: codes.slice(0, this.#width), plans: codes.slice(this.#width) };
  }

  /** Plays the way to a state again with boxes that keep their places. */
  #trace(at: number): string[] {
    const way: string[] = [];
    for (let i = at; i > 0; i = this.#parents[i]!) way.unshift(this.#keys[i]!);
    const lines: string[] = [];
    let state = this.#world.start();
    for (const key of way) {
      const taken: State[] = [];
      this.#world.steps(state, false, (next, action) => {
        if (taken.length > 0 || this.#keyAfter(state, next, action) !== key) return;
        const reached = { boxes: [...next.boxes], plans: [...next.plans] };
        taken.push(reached);
        lines.push(describe(this.#world, action, state, reached));
      });
      state = taken[0] ?? state;
    }
    return [...lines, ...picture(this.#world, state)];
  }
}

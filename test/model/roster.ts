import { BoxRules, signs, type Box, type BoxEvent, type Role } from "./box.ts";
import type { Paper } from "./plans.ts";
import type { Rules } from "./rules.ts";
import { honestBoxes, type Setting } from "./settings.ts";

export const boxEvents = ["join", "prepare", "activate", "burn", "settle", "bury", "restart"] as const satisfies readonly (BoxEvent | "restart")[];
const unknown = -2;
export const refused = -1;

/** A bit for each record; -1 is none. */
export const bitsOf = (records: readonly number[]): number => records.reduce((bits, record) => record < 0 ? bits : bits | (1 << record), 0);

/** Numbers every different box that occurs, and remembers what becomes of it: a state is then a few small numbers. */
export class Roster {
  /** The number of each honest box in the first state, in the order of {@link honestBoxes}. */
  readonly start: readonly number[];
  /** By number and plan, the bits of {@link signs}: what it has signed, and what it may sign yet whatever it is shown. */
  readonly signed: number[][] = [];
  readonly maySign: number[][] = [];
  readonly isFrail: boolean[] = [];
  /** By number: which records' shards it has, a bit each; and whether it signed ACTIVATED and BURN of one plan. */
  readonly held: number[] = [];
  readonly isFalse: boolean[] = [];
  readonly #rules: Rules;
  readonly #boxRules: BoxRules;
  readonly #setting: Setting;
  readonly #roles: Role[] = [];
  readonly #boxes: Box[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #after: Int32Array[] = [];
  readonly #stripped: Int32Array[] = [];

  constructor(rules: Rules, setting: Setting, paper: Paper) {
    this.#rules = rules;
    this.#boxRules = new BoxRules(rules, setting, paper);
    this.#setting = setting;
    const { plans } = setting;
    const roleOf = new Map<string, number>();
    this.start = honestBoxes(setting).map((box) => {
      const holds = plans.map(({ holders }) => holders.includes(box));
      const old = setting.old.includes(box);
      const isFrail = setting.frail.includes(box);
      const alike = JSON.stringify([holds, plans.map(({ witnesses }) => witnesses.includes(box)), old, isFrail]);
      if (!roleOf.has(alike)) roleOf.set(alike, this.#roles.push({ box, holds, isFrail }) - 1);
      return this.#number({
        role: roleOf.get(alike)!, stages: plans.map(() => "unknown"), live: plans.map(() => false),
        next: -1, current: old ? 0 : -1, old: -1, last: 0, signed: plans.map(() => 0),
      });
    });
  }

  box(number: number): Box {
    return this.#boxes[number]!;
  }

  /** The box after an event (its place in {@link boxEvents}); `refused` also where nothing changes. */
  after(number: number, event: number, plan: number): number {
    const at = event * this.#setting.plans.length + plan;
    const known = this.#after[number]![at]!;
    if (known !== unknown) return known;
    const name = boxEvents[event]!;
    const box = this.#boxes[number]!;
    const next = name === "restart" ? this.#boxRules.restart(box) : this.#boxRules.on(box, this.#roles[box.role]!, name, plan);
    const found = next === null ? refused : this.#number(next);
    return this.#after[number]![at] = found === number ? refused : found;
  }

  /** The box without its statements about the plans in `mask`, where it is done with them. */
  strip(number: number, mask: number): number {
    const known = this.#stripped[number]![mask]!;
    if (known !== unknown) return known;
    const box = this.#boxes[number]!;
    if (this.isFalse[number]!) return this.#stripped[number]![mask] = number;
    const isDone = (plan: number): boolean => {
      const stage = box.stages[plan]!;
      return (stage === "unknown" || this.#rules.isOver(stage)) && (this.maySign[number]![plan]! & ~box.signed[plan]!) === 0;
    };
    const signed = box.signed.map((bits, plan) => ((mask >> plan) & 1) === 1 && isDone(plan) ? 0 : bits);
    return this.#stripped[number]![mask] = this.#number({ ...box, signed });
  }

  /** Whether an attempt is neither settled nor burnt here. */
  isOpen(number: number, plan: number): boolean {
    const stage = this.#boxes[number]!.stages[plan]!;
    return stage !== "unknown" && !this.#rules.isOver(stage);
  }

  #number(box: Box): number {
    const key = JSON.stringify(box);
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const { plans } = this.#setting;
    const role = this.#roles[box.role]!;
    this.#numbers.set(key, this.#boxes.length);
    this.#after.push(new Int32Array(boxEvents.length * plans.length).fill(unknown));
    this.#stripped.push(new Int32Array(1 << plans.length).fill(unknown));
    this.signed.push([...box.signed]);
    this.maySign.push(plans.map(({ number }, plan) => role.holds[plan]! ? this.#boxRules.maySign(box.stages[plan]!, number <= box.last) : 0));
    this.isFrail.push(role.isFrail);
    this.held.push(bitsOf([box.next, box.current, box.old]));
    this.isFalse.push(box.signed.some((bits) => (bits & signs.activated) !== 0 && (bits & signs.burn) !== 0));
    return this.#boxes.push(box) - 1;
  }
}


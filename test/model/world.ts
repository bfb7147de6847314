import { isDecided, type Message, type Phase } from "../../agent/rules/reshard/drive.ts";
import { writePaper } from "./plans.ts";
import { everySign } from "./box.ts";
import { boxEvents, refused, Roster } from "./roster.ts";
import type { Certificate, ModelEvent, Rules } from "./rules.ts";
import type { Setting } from "./settings.ts";

const phases = ["planned", "unproven", "certified", "settled", "burning", "burnt", "resolving"] as const satisfies readonly Phase[];
const messages = ["activate", "settle", "burn", "bury", "resolve"] as const satisfies readonly Message[];
export const certificates = ["P", "D", "BURN"] as const satisfies readonly Certificate[];
/** PROVED needs nothing that is in the model: somebody uses the key, now or never. */
const driveEvents = { "prepared-by-all": "P", "prepared-unproven": "P", "proved": null, "failed": null, "activated-enough": "D", "burnt-enough": "BURN" } as const satisfies Record<ModelEvent, Certificate | null>;

/**
 * A state: the number of each honest box, and for each plan one number with which certificates there are (3
 * bits), the coordinator's phase (3 bits, 0: not planned) and what it has ever shown (5 bits). What was signed
 * or shown stays in the network: it may reach anybody at any time, any number of times, or never.
 */
export interface State {
  readonly boxes: number[];
  readonly plans: number[];
}

/** Who did what: a box (its place among the honest ones) or, -1, the coordinator. */
export interface Action {
  readonly actor: number;
  readonly event: (typeof boxEvents)[number] | ModelEvent | "plan";
  readonly plan: number;
}

const certBit = (certificate: Certificate): number => 1 << certificates.indexOf(certificate);
export const has = (plan: number, certificate: Certificate): boolean => (plan & certBit(certificate)) !== 0;
const phaseOf = (plan: number): Phase | undefined => phases[((plan >> 3) & 7) - 1];
const withPhase = (plan: number, phase: Phase, shows: Message): number =>
  (plan & ~0x38) | ((phases.indexOf(phase) + 1) << 3) | (shows === null ? 0 : 1 << (6 + messages.indexOf(shows)));
const isShown = (plan: number, message: NonNullable<Message>): boolean => (plan & (1 << (6 + messages.indexOf(message)))) !== 0;

export class World {
  readonly rules: Rules;
  readonly setting: Setting;
  readonly roster: Roster;
  readonly #liarHolds: readonly boolean[];
  readonly #needed: readonly Readonly<Record<Certificate, number>>[];

  private constructor(rules: Rules, setting: Setting, roster: Roster) {
    this.rules = rules;
    this.setting = setting;
    this.roster = roster;
    this.#liarHolds = setting.plans.map(({ holders }) => setting.liar !== null && holders.includes(setting.liar));
    this.#needed = setting.plans.map(({ holders: { length } }) => ({ P: rules.preparedNeeded(length), D: rules.activationsNeeded(length), BURN: rules.burnsNeeded(length) }));
  }

  static async of(rules: Rules, setting: Setting): Promise<World> {
    return new World(rules, setting, new Roster(rules, setting, await writePaper(setting)));
  }

  start(): State {
    return { boxes: [...this.roster.start], plans: this.setting.plans.map(() => 0) };
  }

  /**
   * Every step from a state. `isFirm`: only what happens for certain if everybody who may be at fault is silent
   * from now on, nobody crashes and nothing new is planned. The state that is visited is used again.
   */
  steps({ boxes, plans }: State, isFirm: boolean, visit: (state: State, action: Action) => void): void {
    const next: State = { boxes: [...boxes], plans: [...plans] };
    const say = (action: Action): void => {
      this.settle(next);
      visit(next, action);
      for (let i = 0; i < boxes.length; i++) next.boxes[i] = boxes[i]!;
      for (let i = 0; i < plans.length; i++) next.plans[i] = plans[i]!;
    };
    for (let plan = 0; plan < plans.length; plan++) {
      for (let event = 0; event < boxEvents.length; event++) {
        const name = boxEvents[event]!;
        if (name === "restart" ? isFirm || plan > 0 : !this.#reaches(plans[plan]!, name)) continue;
        for (let actor = 0; actor < boxes.length; actor++) {
          if (boxes.indexOf(boxes[actor]!) < actor || (isFirm && this.roster.isFrail[boxes[actor]!]!)) continue;
          const to = this.roster.after(boxes[actor]!, event, plan);
          if (to === refused) continue;
          next.boxes[actor] = to;
          say({ actor, event: name, plan });
        }
      }
      if (this.setting.coordinator === "honest") {
        for (const [event, phase] of this.#drives(boxes, plans, plan, isFirm)) {
          next.plans[plan] = withPhase(plans[plan]!, phase, this.rules.drive[phase].shows);
          say({ actor: -1, event, plan });
        }
      }
    }
  }

  /** Whether what this event needs may reach a box. A coordinator that lies shows whatever exists and orders anything. */
  #reaches(plan: number, event: Exclude<(typeof boxEvents)[number], "restart">): boolean {
    const { settlesBy } = this.rules;
    const lies = this.setting.coordinator === "lies";
    switch (event) {
      case "join": case "prepare": return lies || phaseOf(plan) !== undefined;
      case "burn": return lies || isShown(plan, "burn");
      case "activate": return lies ? has(plan, "P") : isShown(plan, "activate");
      case "bury": return lies ? has(plan, "BURN") : isShown(plan, "bury");
      case "settle": return lies ? has(plan, settlesBy) : isShown(plan, settlesBy === "D" ? "settle" : "activate");
    }
  }

  #drives(boxes: readonly number[], plans: readonly number[], plan: number, isFirm: boolean): [Action["event"], Phase][] {
    const phase = phaseOf(plans[plan]!);
    if (phase === undefined) return !isFirm && this.#mayPlan(plans, plan) ? [["plan", "planned"]] : [];
    return (Object.keys(driveEvents) as ModelEvent[]).flatMap((event): [ModelEvent, Phase][] => {
      const to = this.rules.drive[phase].on[event];
      const by = driveEvents[event];
      const isUnproven = this.setting.plans[plan]!.witnesses.length === this.setting.threshold;
      if (event === (isUnproven ? "prepared-by-all" : "prepared-unproven")) return [];
      const can = by === null || has(isFirm ? this.#made(this.#count(boxes, plan, false, false), plan) : plans[plan]!, by);
      return to !== undefined && can ? [[event, to]] : [];
    });
  }

  /** One attempt after the other: the next of an epoch when one is burnt, the next epoch when one is settled. */
  #mayPlan(plans: readonly number[], plan: number): boolean {
    if (plan === 0) return true;
    const follows = this.setting.plans[plan]!.previous === plan;
    return phaseOf(plans[plan - 1]!) === (follows ? "settled" : "burnt");
  }

  /**
   * How many new holders have signed each of {@link signs}, `withYet`: or may yet sign it; `withFaulty`: also
   * those that may be at fault.
   */
  #count(boxes: readonly number[], plan: number, withFaulty: boolean, withYet: boolean): number {
    const { signed, maySign, isFrail } = this.roster;
    let counts = withFaulty && this.#liarHolds[plan]! ? everySign : 0;
    for (const box of boxes) {
      if (withFaulty || !isFrail[box]!) counts += withYet ? signed[box]![plan]! | maySign[box]![plan]! : signed[box]![plan]!;
    }
    return counts;
  }

  /** The certificates that these counts make. */
  #made(counts: number, plan: number): number {
    const { P, D, BURN } = this.#needed[plan]!;
    return ((counts & 15) >= P ? 1 : 0) | (((counts >> 4) & 15) >= D ? 2 : 0) | (counts >> 8 >= BURN ? 4 : 0);
  }

  /** The certificates that exist or can still form. Nobody honest activates without P. */
  #possible(boxes: readonly number[], plan: number, state: number, withFaulty: boolean): number {
    const yet = this.#count(boxes, plan, withFaulty, true);
    const made = this.#made(yet, plan) | (state & 7);
    const hasP = has(made, "P") || (!withFaulty && has(this.#made(this.#count(boxes, plan, true, true), plan), "P"));
    return hasP ? made : (made & ~2) | (this.#made(this.#count(boxes, plan, withFaulty, false), plan) & 2) | (state & 2);
  }

  /**
   * Certificates that exist from now on; and statements that no longer matter are forgotten: those of boxes
   * that are done with an attempt whose certificates all exist or never will.
   */
  settle({ boxes, plans }: State): void {
    let mask = 0;
    for (let plan = 0; plan < plans.length; plan++) {
      const state = plans[plan]! | this.#made(this.#count(boxes, plan, true, false), plan);
      plans[plan] = state;
      if ((this.#possible(boxes, plan, state, true) & ~state) === 0) mask |= 1 << plan;
    }
    if (mask !== 0) for (let i = 0; i < boxes.length; i++) boxes[i] = this.roster.strip(boxes[i]!, mask);
  }

  /** Nothing is open: at the coordinator, and at every box that is not silent. */
  isDone({ boxes, plans }: State): boolean {
    return plans.every((state, plan) => {
      const phase = phaseOf(state);
      return (phase === undefined || isDecided(phase)) && !boxes.some((box) => !this.roster.isFrail[box]! && this.roster.isOpen(box, plan));
    });
  }

  /** An attempt is open, and whatever the coordinator shows, too few are left for D and too few for BURN. */
  isSplit({ boxes, plans }: State): boolean {
    return plans.some((state, plan) => boxes.some((box) => !this.roster.isFrail[box]! && this.roster.isOpen(box, plan))
      && (this.#possible(boxes, plan, state, false) & ~1) === 0);
  }
}

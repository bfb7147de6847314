import { Attempts } from "../../agent/box/attempts.ts";
import { Shelf } from "../../agent/box/shelf.ts";
import { KeyShelf } from "../../agent/coordinator/key-shelf.ts";
import type { CoordinatorParts } from "../../agent/coordinator/parts.ts";
import { Journal } from "../../agent/coordinator/reshard/journal.ts";
import type { KeyRecord } from "../../agent/protocol/key-record.ts";
import type { ReshardPlan } from "../../agent/protocol/reshard.ts";
import { openMemoryStore, type MemoryDisk } from "../support/memory-store.ts";
import { beyondLimits } from "./limits.ts";
import type { Attempted, Listener, Said } from "./observed.ts";
import { Observed } from "./observed.ts";
import { Holdings } from "./holdings.ts";
import { siteName, type Site } from "./site.ts";
import { coordinatorId, type World } from "./world.ts";

/** Every attempt's phases in which the coordinator's journal may be when it says that. */
const phasesFor: Readonly<Record<string, readonly string[]>> = {
  activate: ["certified", "settled"], settle: ["settled"], burn: ["burning", "burnt"], bury: ["burnt"],
};

interface Durable { readonly journal: Journal; readonly keys: KeyShelf; readonly quarantined: readonly string[] }

/**
 * What must hold at every instant (protocol.md §§6-7), judged by all that is said on the network and by looking
 * into every disk and HSM. The rules' own code is not asked: the numbers of certificates and the limits are
 * written a second time in limits.ts.
 */
export class Invariants implements Listener {
  readonly observed: Observed;
  readonly holdings: Holdings;
  readonly #site: Site;
  readonly #world: World;
  readonly #numbers = new Map<string, string>();
  readonly #shownP = new Set<string>();
  readonly #certified = new Set<string>();
  #later: (() => Promise<void>)[] = [];
  #read: { readonly records: MemoryDisk["records"] } & Durable | undefined;

  constructor(site: Site) {
    this.#site = site;
    this.#world = site.world;
    this.observed = new Observed(this);
    this.holdings = new Holdings(site, this.observed);
    const { world } = site;
    world.onMessage = (delivery) => {
      const type = this.observed.hear(delivery);
      if (type !== "heartbeat") world.note(`${delivery.from} > ${delivery.to} ${type}`);
    };
    world.onEffect = async (machine, effect) => {
      if (machine.name !== coordinatorId && (effect === "commit" || effect === "destroySealKey")) await this.holdings.changed(machine);
    };
  }

  /** What takes time to look at, after the step in which it was said. */
  async settle(): Promise<void> {
    const later = this.#later;
    this.#later = [];
    for (const look of later) await look();
  }

  onPlan(planHash: string, plan: ReshardPlan, from: string): void {
    if (from !== coordinatorId) return;
    for (const { key, attempt } of plan.body.keys) {
      const name = `${key} ${attempt}`;
      if (this.#numbers.has(name)) this.#world.violate(`attempt ${attempt} of ${key} is used for a second plan`);
      this.#numbers.set(name, planHash);
    }
    const why = beyondLimits(plan, (key) => this.recordOf(key), () => false);
    if (why !== null) this.#world.violate(`the coordinator plans beyond the limits: ${why}`);
  }

  onAsked(type: string, planHash: string, from: string): void {
    if (from !== coordinatorId) return;
    const phase = this.journal().get(planHash)?.phase;
    if (phase === undefined || phasesFor[type]?.includes(phase) === false) this.#world.violate(`the coordinator says ${type} while its journal says ${phase ?? "nothing"}`);
    if (type === "activate") this.#shownP.add(planHash);
    if (type === "burn" && this.#shownP.has(planHash)) this.#world.violate("the coordinator has shown P and orders to burn");
  }

  onSaid(what: Said, planHash: string, box: string, isOther: boolean): void {
    const attempted = this.observed.of(planHash);
    if (attempted === undefined) return;
    const broken = this.#judge(what, attempted, planHash, box, isOther);
    if (broken !== null) this.#world.violate(`${box} ${broken}`);
    if (what === "activated" || what === "burn") this.#judgeCertificates(planHash, attempted);
  }

  /** The rule that this statement breaks. */
  #judge(what: Said, attempted: Attempted, planHash: string, box: string, isOther: boolean): string | null {
    const { plan, sealed, check, prepared, activated, burn } = attempted;
    const { holders, witnesses } = plan.body;
    if (isOther) return `signed two different ${what.toUpperCase()} of one attempt`;
    const everybody = [...new Set([...holders, ...witnesses].map((one) => one.box))];
    const all = (said: ReadonlyMap<string, unknown>, boxes: readonly string[]): boolean => boxes.every((one) => said.has(one));
    switch (what) {
      case "deal": return all(attempted.join, everybody) ? null : "dealt without every JOIN";
      case "sealed": return all(attempted.deal, plan.body.dealers.map((one) => one.box)) ? null : "sealed without every DEAL";
      case "join": return this.holdings.judgeJoin(plan, planHash, box);
      case "check": {
        const own = check.get(box)?.body.transcript;
        return everybody.every((one) => sealed.get(one)?.body.transcript === own) ? null : "published its CHECK without everybody's SEALED";
      }
      case "prepared":
        if (!all(check, everybody)) return "prepared without every CHECK";
        return this.#stands(box, plan, planHash, ["next", "current"]) ? null : "signed PREPARED with nothing durable";
      case "activated":
        if (burn.has(box)) return "signed ACTIVATED after BURN";
        // Nobody uses a key here, so nothing is PROVED.
        if (witnesses.length === plan.body.threshold) return "activated an unproven attempt";
        if (!holders.every((one) => prepared.get(one.box)?.body.batch === activated.get(box)?.body.batch)) return "activated without certificate P";
        return this.#stands(box, plan, planHash, ["current"]) ? null : "signed ACTIVATED with nothing durable";
      case "burn":
        if (activated.has(box)) return "signed BURN after ACTIVATED";
        return this.#stage(box, planHash) === "joined" ? "signed BURN with nothing durable" : null;
      case "destroyed":
        this.#later.push(() => this.holdings.judgeDestroyed(attempted, planHash, box));
        return null;
    }
  }

  /** D and the BURN certificate of one attempt exclude each other, and so do two D of one epoch. */
  #judgeCertificates(planHash: string, attempted: Attempted): void {
    const isSettled = this.holdings.hasD(attempted);
    if (isSettled && this.holdings.hasBurn(attempted)) this.#world.violate("one attempt has both D and the BURN certificate");
    if (!isSettled || this.#certified.has(planHash)) return;
    this.#certified.add(planHash);
    for (const { key, epoch } of attempted.plan.body.keys) {
      const other = [...this.#certified].filter((one) => one !== planHash)
        .some((one) => this.observed.of(one)?.plan.body.keys.some((also) => also.key === key && also.epoch === epoch));
      if (other) this.#world.violate(`epoch ${epoch} of ${key} has two D`);
    }
  }

  #stands(box: string, plan: ReshardPlan, planHash: string, states: readonly ("next" | "current")[]): boolean {
    const shelf = new Shelf(this.#world.machine(box).view(), siteName, box);
    return plan.body.keys.every(({ key }) => states.some((state) => shelf.get(key, state)?.record.plan === planHash));
  }

  #stage(box: string, planHash: string): string {
    const { clock } = this.#world.running.get(box)!.life;
    return new Attempts(this.#world.machine(box).view(), clock, 0).get(planHash)?.stage ?? "joined";
  }

  /** As it is on the coordinator's disk. */
  journal(): Journal {
    return this.#durable().journal;
  }

  /** The newest record that the coordinator knows. */
  recordOf(key: string): KeyRecord | undefined {
    return this.#durable().keys.get(key)?.record;
  }

  /** Who is out for a proven failure, as it is on the coordinator's disk. */
  quarantined(): readonly string[] {
    return this.#durable().quarantined;
  }

  /** Read anew only when the disk has changed. */
  #durable(): Durable {
    const { disk } = this.#world.machine(coordinatorId);
    if (this.#read?.records !== disk.records) {
      const store = openMemoryStore(disk);
      this.#read = { records: disk.records, journal: new Journal(store), keys: new KeyShelf({ store } as unknown as CoordinatorParts), quarantined: [...store.entries("quarantine/")].map(([name]) => name.slice("quarantine/".length)) };
    }
    return this.#read;
  }

  get site(): Site { return this.#site; }
}

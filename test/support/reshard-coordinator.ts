import type { z } from "zod";
import { coordinatorConfig } from "../../agent/coordinator/config.ts";
import { Fleet } from "../../agent/coordinator/fleet.ts";
import { InUse } from "../../agent/coordinator/in-use.ts";
import { KeyShelf } from "../../agent/coordinator/key-shelf.ts";
import { keyStatuses } from "../../agent/coordinator/key-status.ts";
import type { CoordinatorParts } from "../../agent/coordinator/parts.ts";
import { Journal } from "../../agent/coordinator/reshard/journal.ts";
import { Resharder } from "../../agent/coordinator/reshard/resharder.ts";
import { SiteKeeper } from "../../agent/coordinator/site-keeper.ts";
import { ExchangeError, type Exchange } from "../../agent/mqtt/exchange.ts";
import { probeMessage, type BoxHeartbeat } from "../../agent/protocol/heartbeat.ts";
import type { KeyRecord } from "../../agent/protocol/key-record.ts";
import { boxRequests } from "../../agent/protocol/messages.ts";
import type { ReshardPlan } from "../../agent/protocol/reshard.ts";
import { statementHash } from "../../agent/protocol/statement.ts";
import { toBase64url } from "../../agent/runtime/encoding.ts";
import { systemRandom } from "../../agent/runtime/random.ts";
import { putJson } from "../../agent/store/json.ts";
import type { Phase } from "../../agent/rules/reshard/drive.ts";
import { boot, filled } from "../rules/support/site.ts";
import { memoryDisk, openMemoryStore, type CommitHooks } from "./memory-store.ts";
import { site, type FleetBox, type ReshardFleet } from "./reshard-fleet.ts";

type Name = keyof typeof boxRequests;
type Data<N extends Name> = z.infer<(typeof boxRequests)[N]["request"]>;
export interface Sent { readonly name: string; readonly box: string; readonly plan: string }
/** What a phase lets the coordinator say. */
const saidIn: Readonly<Record<string, Phase>> = {
  "reshard-join": "planned", "reshard-deal": "planned", "reshard-seal": "planned", "reshard-check": "planned", "reshard-prepare": "planned",
  "reshard-activate": "certified", "reshard-settle": "settled", "reshard-burn": "burning", "reshard-bury": "burnt", "reshard-resolve": "resolving",
};

/**
 * The coordinator's re-shards over boxes' own logic, without wires: requests go through the wire's schemas and to
 * the box. Whatever is said is first looked up on the disk: it must be journalled by then.
 */
export class CoordinatorBench {
  readonly fleet: ReshardFleet;
  readonly disk = memoryDisk();
  readonly down = new Set<string>();
  readonly sent: Sent[] = [];
  readonly logged: string[] = [];
  /** What was wrong with something that was said. */
  readonly unsound: string[] = [];
  /** May change an answer, or throw in the box's place. */
  answer: (name: string, box: FleetBox, data: unknown, ask: () => Promise<unknown>) => Promise<unknown> = (_name, _box, _data, ask) => ask();
  keys!: KeyShelf;
  journal!: Journal;
  boxes!: Fleet;
  resharder!: Resharder;
  #life = 0;
  #counter = 0;
  readonly #config: object;

  constructor(fleet: ReshardFleet, config: object = {}) {
    [this.fleet, this.#config] = [fleet, config];
  }

  static async start(fleet: ReshardFleet, records: readonly KeyRecord[], config: object = {}): Promise<CoordinatorBench> {
    const bench = new CoordinatorBench(fleet, config);
    await openMemoryStore(bench.disk).commit([
      putJson("site-record", fleet.record), ...records.flatMap((record) => [putJson(`key/${record.key}`, { record, prepared: [] }), putJson(`attempt/${record.key}`, record.attempt)]),
    ]);
    bench.live();
    await fleet.clock.advance(10);
    return bench;
  }

  /** A life of the coordinator: what it knew and waited for is gone. */
  live(hooks: CommitHooks = {}): void {
    const life = ++this.#life;
    const { clock: moved } = this.fleet;
    const clock = { now: () => moved.now(), wall: () => moved.wall(), after: (ms: number, task: () => void) => moved.after(ms, () => { if (life === this.#life) task(); }) };
    const store = openMemoryStore(this.disk, hooks);
    const none = undefined as never;
    const note = (event: string, fields: object = {}): void => { if (life === this.#life) this.logged.push(`${event} ${JSON.stringify(fields)}`); };
    const exchange = { request: (_table: unknown, name: Name, box: string, data: unknown, options: { deadlineMs?: number } = {}) => this.#request(life, name, box, data, options.deadlineMs ?? 3000) };
    const parts: CoordinatorParts = {
      config: coordinatorConfig.parse({ site, state: "/nowhere", hsm: { module: "/m", token: "t", pinFile: "/p" }, broker: { url: "mqtts://x:1" }, steadyMs: 4000, reshardWindowMs: 0, reshardStepMs: 2000, ...this.#config }),
      hsm: this.fleet.coordinatorHsm, store, clock, random: systemRandom, log: { info: note, warn: note, error: note }, exchange: exchange as unknown as Exchange,
      site: new SiteKeeper(store, this.fleet.coordinatorHsm), session: none, enclaves: none, nonces: none, certifier: none,
    };
    this.keys = new KeyShelf(parts);
    this.journal = new Journal(store);
    this.boxes = new Fleet(parts);
    this.resharder = new Resharder(parts, this.boxes, this.keys, this.journal, new InUse());
    this.boxes.start();
    const beat = (): void => {
      clock.after(2000, beat);
      for (const box of this.fleet.boxes.values()) if (!this.down.has(box.id)) this.boxes.heard(box.id, filled(16, 1), this.#beat(box));
    };
    beat();
    this.resharder.start();
  }

  /** It dies here and now; nothing of it goes on. */
  kill(): void { this.#life++; }

  #beat({ shelf }: FleetBox): BoxHeartbeat {
    return {
      counter: ++this.#counter, nonce: filled(16, 2), siteRecord: { version: this.fleet.record.body.version, hash: statementHash(this.fleet.record) }, hsm: { ok: true, backing: "software" },
      sensor: { state: "ready", emulated: true }, inventory: shelf.inventory(), holdings: [...shelf.holdings()], verified: null, uptimeS: 1, version: "1",
    };
  }

  async #request(life: number, name: Name, id: string, data: unknown, deadlineMs: number): Promise<unknown> {
    const forever = new Promise<never>(() => undefined);
    if (life !== this.#life) return await forever;
    const plan = this.#planOf(data);
    this.sent.push({ name, box: id, plan });
    this.#requireJournalled(name, plan);
    const box = this.fleet.box(id);
    const answered = this.down.has(id) ? new Promise<never>((_resolve, reject) => { this.fleet.clock.after(deadlineMs, () => { reject(new ExchangeError("NO_ANSWER", `${id} is down`, { retryable: true })); }); })
      : this.answer(name, box, data, () => this.#ask(name, box, boxRequests[name].request.parse(JSON.parse(JSON.stringify(data)))));
    try {
      const answer = await answered;
      return life === this.#life ? boxRequests[name].response.parse(JSON.parse(JSON.stringify(answer))) : await forever;
    } catch (error) {
      if (life !== this.#life) return await forever;
      throw error;
    }
  }

  async #ask(name: Name, { reshards, hsm, records, id }: FleetBox, data: unknown): Promise<unknown> {
    const handlers: Partial<Record<Name, (data: never) => Promise<unknown>>> = {
      "reshard-join": async ({ plan, approval }: Data<"reshard-join">) => ({ join: await reshards.join(plan, approval, boot) }),
      "reshard-deal": ({ plan, joins }: Data<"reshard-deal">) => reshards.deal(plan, joins),
      "reshard-seal": async ({ plan, joins, deals, pieces }: Data<"reshard-seal">) => ({ sealed: await reshards.seal(plan, joins, deals, pieces) }),
      "reshard-check": async ({ plan, sealed }: Data<"reshard-check">) => ({ check: await reshards.check(plan, sealed) }),
      "reshard-prepare": async ({ plan, checks }: Data<"reshard-prepare">) => ({ prepared: await reshards.prepare(plan, checks) }),
      "reshard-activate": async ({ plan, prepared, proof }: Data<"reshard-activate">) => ({ activated: await reshards.activate(plan, prepared, proof) }),
      "reshard-settle": async (settlement: Data<"reshard-settle">) => ({ destroyed: await reshards.settle(settlement) }),
      "reshard-burn": async ({ plan }: Data<"reshard-burn">) => ({ burn: await reshards.burn(plan) }),
      "reshard-resolve": ({ plan, approval }: Data<"reshard-resolve">) => reshards.resolve(plan, approval),
      "reshard-bury": async (burial: Data<"reshard-bury">) => ({ destroyed: await reshards.bury(burial) }),
      "probe": async ({ nonce }: Data<"probe">) => ({ mac: toBase64url(await hsm.mac({ box: id, message: probeMessage(site, nonce, id) })), inventory: filled(32, 0), verified: null }),
      "quarantine": async ({ box, reason }: Data<"quarantine">) => { await records.quarantine(box, reason); return {}; },
    };
    const handler = handlers[name];
    if (handler === undefined) throw new Error(`nobody asks for ${name} here`);
    return await handler(data as never);
  }

  #planOf(data: unknown): string {
    const plan = (data as { readonly plan?: string | ReshardPlan }).plan;
    return plan === undefined ? "" : typeof plan === "string" ? plan : statementHash(plan);
  }

  /** Durable before it is said; and P and an order to burn are never both shown. */
  #requireJournalled(name: Name, plan: string): void {
    const wanted = saidIn[name];
    if (wanted === undefined) return;
    const entry = new Journal(openMemoryStore(this.disk)).get(plan);
    if (entry?.phase !== wanted) this.unsound.push(`${name} in phase ${String(entry?.phase)}`);
    const store = openMemoryStore(this.disk);
    for (const { key, attempt } of entry?.plan.body.keys ?? []) {
      const last: unknown = JSON.parse(new TextDecoder().decode(store.get(`attempt/${key}`)));
      if (typeof last !== "number" || last < attempt) this.unsound.push(`${name}: attempt ${attempt} of ${key} is not used up`);
    }
    const shown = new Set(this.sent.filter((one) => one.plan === plan).map((one) => one.name));
    if (shown.has("reshard-activate") && shown.has("reshard-burn")) this.unsound.push("P and an order to burn");
  }

  phases(): string[] { return this.journal.all().map(({ phase }) => phase); }
  count(name: string): number { return this.sent.filter((one) => one.name === name).length; }
  status(key = "payroll") { return keyStatuses(this.keys, this.journal, this.resharder, (box) => this.boxes.isLive(box)).find((one) => one.key === key)!; }

  /** Until every decided attempt is shown to everybody whom it concerns, and none is open. */
  async quiet(most = 60_000): Promise<void> {
    await this.fleet.clock.until(() => this.journal.all().every((entry) => this.journal.isFinished(entry)), most, "quiet");
  }
}

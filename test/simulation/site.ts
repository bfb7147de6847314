import { Box } from "../../agent/box/box.ts";
import { noDisplay } from "../../agent/box/display.ts";
import { RecordKeeper } from "../../agent/box/record-keeper.ts";
import { coordinatorConfig } from "../../agent/coordinator/config.ts";
import { Coordinator } from "../../agent/coordinator/coordinator.ts";
import { SiteKeeper } from "../../agent/coordinator/site-keeper.ts";
import { EnclavePool } from "../../agent/enclave/client.ts";
import type { Hsm } from "../../agent/hsm/client.ts";
import { Exchange } from "../../agent/mqtt/exchange.ts";
import { CertificateCache, writeEnvelope } from "../../agent/protocol/envelope.ts";
import { NonceBook } from "../../agent/protocol/nonces.ts";
import { beginSession, type Session } from "../../agent/protocol/session.ts";
import { everybodyUp, topic } from "../../agent/protocol/topics.ts";
import type { SiteRecord } from "../../agent/protocol/site-record.ts";
import { toBase64url } from "../../agent/runtime/encoding.ts";
import type { Log } from "../../agent/runtime/log.ts";
import { FakeSensor } from "../support/fake-sensor.ts";
import { memoryHsm } from "../support/memory-hsm.ts";
import { found } from "./founding.ts";
import { hsmOf, storeOf } from "./party.ts";
import { Prng } from "./prng.ts";
import { Life } from "./timeline.ts";
import { coordinatorId, stateTopic, type World } from "./world.ts";

export const siteName = "sim";
const heartbeatMs = 1500;
const configOf = ({ weather }: World): unknown => ({
  site: siteName, state: "/nowhere", hsm: { module: "/m", token: "t", pinFile: "/p" }, broker: { url: "mqtts://x:1" },
  heartbeatMs, suspectMs: 3500, probeMs: 800, lostMs: 7000, absentMs: 7000, steadyMs: 2000, flapWindowMs: 15_000,
  reshardPeriodMs: weather.periodMs, reshardWindowMs: weather.windowMs, reshardStepMs: weather.stepMs,
});

/**
 * The product's own boxes and coordinator in a {@link World}: transport, clock, randomness, store and HSM are what
 * is injected, every line of theirs is what runs on a site.
 */
export class Site {
  readonly world: World;
  readonly log: Log;
  readonly seed: number;
  record!: SiteRecord;
  /** By key: what must never change. */
  secrets: ReadonlyMap<string, Uint8Array> = new Map();
  /** Of the coordinator's present life: what a thief of its computer has. */
  coordinator: { readonly session: Session; readonly freshOf: (box: string) => string | undefined } | undefined;
  client: Exchange | undefined;
  /** The box whose HSM process lies, if one does. */
  liar: string | undefined;
  #lives = 0;
  /** Puts a lying HSM process around a box's; the box itself is honest. */
  corrupt: (box: string, hsm: Hsm) => Hsm = (_box, hsm) => hsm;

  constructor(seed: number, world: World, log: Log) {
    this.seed = seed;
    this.world = world;
    this.log = log;
    world.boot = (name) => (name === coordinatorId ? this.#startCoordinator() : this.#startBox(name));
  }

  async begin(): Promise<void> {
    const { record, secrets, client } = await found(this.world, siteName);
    this.record = record;
    this.secrets = secrets;
    await this.world.boot(coordinatorId);
    for (const box of this.world.weather.boxes) await this.world.boot(box);
    const session = await beginSession(client, siteName, "cli", this.#random());
    this.client = await this.#startClient(session);
  }

  /** Each life draws from a source of its own: how much one draws changes nothing for the others. */
  #random() {
    const random = new Prng(this.seed, 1000 + this.#lives++);
    return { bytes: (length: number) => Uint8Array.from({ length }, () => random.int(256)) };
  }

  async #startBox(box: string): Promise<void> {
    const { world, log } = this;
    const machine = world.machine(box);
    const life = new Life(world.timeline);
    const { clock } = life;
    const random = this.#random();
    const transport = world.hub.connect(box);
    const store = storeOf(machine, life, world.gate);
    const hsm = hsmOf(machine, life, world.gate, this.corrupt(box, memoryHsm(box, machine.token)));
    const records = new RecordKeeper(store, log);
    const nonces = new NonceBook(clock, random);
    const session = await beginSession(machine.token.signers.get("identity")!, siteName, box, random);
    let fresh: string | undefined;
    const exchange = new Exchange({
      transport, session, clock, random, log, nonces,
      reader: { site: siteName, self: box, keyOf: (sender) => records.keyOf(sender), certificates: new CertificateCache() },
      freshOf: () => fresh, topicFor: (_peer, kind) => topic({ kind: "box", box, direction: "up", what: kind }),
    });
    const logic = new Box({ site: siteName, box, boot: session.certificate.body.boot, hsm, bridge: new FakeSensor(), store, exchange, nonces, clock, random, log, records, display: noDisplay },
      { heartbeatMs, reshardWindowMs: world.weather.windowMs }, (nonce) => { fresh = nonce; });
    const say = (state: "ready" | "lost"): Promise<Uint8Array> =>
      writeEnvelope(session, { to: "*", type: "event/state", id: toBase64url(random.bytes(16)), data: { state } });
    const last = await say("lost");
    const broker = world.hub.connect(box);
    world.running.set(box, { life, transport, logic, exchange, will: () => { void broker.publish(stateTopic(box), last); void broker.close(); } });
    await transport.subscribe([topic({ kind: "box", box, direction: "down", what: "request" }), topic({ kind: "box", box, direction: "down", what: "response" }), topic({ kind: "coordinator", what: "heartbeat" })]);
    void transport.publish(stateTopic(box), await say("ready"));
    logic.start();
  }

  async #startCoordinator(): Promise<void> {
    const { world, log } = this;
    const machine = world.machine(coordinatorId);
    const life = new Life(world.timeline);
    const { clock } = life;
    const random = this.#random();
    const transport = world.hub.connect(coordinatorId);
    const store = storeOf(machine, life, world.gate);
    const hsm = hsmOf(machine, life, world.gate);
    const site = new SiteKeeper(store, hsm);
    const session = await beginSession(machine.token.signers.get("identity")!, siteName, coordinatorId, random);
    const nonces = new NonceBook(clock, random);
    const exchange = new Exchange({
      transport, session, clock, random, log, nonces,
      reader: { site: siteName, self: coordinatorId, keyOf: (sender) => site.keyOf(sender), certificates: new CertificateCache() },
      freshOf: (box): string | undefined => coordinator.freshOf(box),
      topicFor: (peer, kind) => (site.kindOf(peer) === "box" ? topic({ kind: "box", box: peer, direction: "down", what: kind }) : topic({ kind: "client", client: peer, direction: "down", what: kind })),
    });
    const coordinator: Coordinator = new Coordinator({
      config: coordinatorConfig.parse(configOf(world)), session, hsm, enclaves: new EnclavePool(() => Promise.reject(new Error("no operation is simulated"))),
      store, exchange, nonces, clock, random, log, certifier: { ca: "", certify: () => Promise.resolve("") }, site,
    });
    world.running.set(coordinatorId, { life, transport, logic: coordinator, exchange });
    this.coordinator = { session, freshOf: (box) => coordinator.freshOf(box) };
    await transport.subscribe(everybodyUp);
    coordinator.start();
  }

  async #startClient(session: Session): Promise<Exchange> {
    const { world, log } = this;
    const { clock } = new Life(world.timeline);
    const random = this.#random();
    const transport = world.hub.connect("cli.00000000");
    let fresh: string | undefined;
    const exchange = new Exchange({
      transport, session, clock, random, log, nonces: new NonceBook(clock, random),
      reader: { site: siteName, self: "cli", keyOf: (sender) => (sender === coordinatorId ? this.record.body.coordinator.key : undefined), certificates: new CertificateCache() },
      freshOf: () => fresh, topicFor: (_peer, kind) => topic({ kind: "client", client: "cli", direction: "up", what: kind }),
    });
    exchange.onEvent((name, data) => { if (name === "coordinator") fresh = (data as { nonce: string }).nonce; });
    await transport.subscribe([topic({ kind: "client", client: "cli", direction: "down", what: "response" }), topic({ kind: "coordinator", what: "heartbeat" })]);
    return exchange;
  }
}

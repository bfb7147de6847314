import { Box } from "../../agent/box/box.ts";
import { consoleDisplay } from "../../agent/box/display.ts";
import { BoxPanel } from "../../agent/box/panel.ts";
import { RecordKeeper } from "../../agent/box/record-keeper.ts";
import { coordinatorConfig } from "../../agent/coordinator/config.ts";
import { Coordinator } from "../../agent/coordinator/coordinator.ts";
import { SiteKeeper } from "../../agent/coordinator/site-keeper.ts";
import { EnclavePool, type Enclave } from "../../agent/enclave/client.ts";
import { EnclaveCore } from "../../agent/enclave/core.ts";
import type { Hsm } from "../../agent/hsm/client.ts";
import type { KeyRecord } from "../../agent/protocol/key-record.ts";
import { Exchange } from "../../agent/mqtt/exchange.ts";
import { CertificateCache } from "../../agent/protocol/envelope.ts";
import { generateSigner } from "../../agent/protocol/es256.ts";
import { coordinatorHeartbeat } from "../../agent/protocol/heartbeat.ts";
import { challengeSecretContext } from "../../agent/protocol/joining.ts";
import { NonceBook } from "../../agent/protocol/nonces.ts";
import { beginSession, type Session } from "../../agent/protocol/session.ts";
import type { SiteRecord, SiteRecordBody } from "../../agent/protocol/site-record.ts";
import { signStatement, statementHash } from "../../agent/protocol/statement.ts";
import { everybodyUp, topic } from "../../agent/protocol/topics.ts";
import { toBase64url } from "../../agent/runtime/encoding.ts";
import type { Log } from "../../agent/runtime/log.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { systemRandom } from "../../agent/runtime/random.ts";
import { putJson } from "../../agent/store/json.ts";
import type { Store } from "../../agent/store/store.ts";
import { FakePanel } from "./fake-panel.ts";
import { FakeSensor } from "./fake-sensor.ts";
import { memoryHsm } from "./memory-hsm.ts";
import { memoryDisk, openMemoryStore, type MemoryDisk } from "./memory-store.ts";
import { MemoryHub } from "./memory-transport.ts";
import { VirtualClock } from "./virtual-clock.ts";

const site = "test";
export const coordinatorId = "coordinator";

export interface TestPerson { readonly id: string; readonly roles: readonly string[]; readonly boxes: readonly string[] }
export interface SiteOptions {
  readonly boxes?: number;
  /** Of the boxes, in their order; one and the same if not given. */
  readonly zones?: readonly string[];
  readonly record?: Partial<SiteRecordBody>;
  readonly people: readonly TestPerson[];
  readonly rules: readonly unknown[];
  /** Client ids with the person they act for. */
  readonly clients?: Readonly<Record<string, string | undefined>>;
  readonly log?: Log;
  readonly config?: Readonly<Record<string, unknown>>;
  /** Records of keys that the coordinator knows, as if they had been born; no box holds anything of them. */
  readonly keys?: readonly KeyRecord[];
  /** A box's HSM, decorated: for one that lies. */
  readonly hsm?: (box: string, hsm: Hsm) => Hsm;
  /** Of the boxes; 0 lets a coordinator change holders as fast as it likes. */
  readonly reshardWindowMs?: number;
  /** Boxes that have a panel. */
  readonly panels?: readonly string[];
}

export interface SimBox {
  readonly id: string;
  readonly hsm: Hsm;
  readonly sensor: FakeSensor;
  readonly disk: MemoryDisk;
  store: Store;
  exchange: Exchange;
  nonces: NonceBook;
  logic: Box;
  setUp: (up: boolean) => void;
  readonly shown: string[];
}

/**
 * A whole site in one process: the real logic of boxes, coordinator and enclave over memory transport,
 * store, HSM and sensor, on a clock that the test moves.
 */
export class InProcessSite {
  readonly clock = new VirtualClock();
  readonly hub = new MemoryHub();
  readonly boxes = new Map<string, SimBox>();
  readonly panels = new Map<string, FakePanel>();
  readonly clients = new Map<string, { readonly session: Session; readonly signer: ReturnType<typeof generateSigner>; readonly exchange: Exchange }>();
  readonly coordinatorHsm = memoryHsm("coordinator");
  readonly coordinatorDisk = memoryDisk();
  readonly enclaves: { ended: boolean; spent: boolean }[] = [];
  coordinatorSession!: Session;
  coordinatorExchange!: Exchange;
  coordinator!: Coordinator;
  keeper!: SiteKeeper;
  readonly #log: Log;
  readonly #options: SiteOptions;

  private constructor(options: SiteOptions) {
    this.#options = options;
    this.#log = options.log ?? silentLog;
    for (const id of options.panels ?? []) this.panels.set(id, new FakePanel());
  }

  static async start(options: SiteOptions): Promise<InProcessSite> {
    const made = new InProcessSite(options);
    await made.#build();
    return made;
  }

  get record(): SiteRecord { return this.keeper.current; }

  box(id: string): SimBox {
    const found = this.boxes.get(id);
    if (found === undefined) throw new Error(`no ${id}`);
    return found;
  }

  async #build(): Promise<void> {
    const { people, rules, clients = { cli: undefined } } = this.#options;
    const ids = Array.from({ length: this.#options.boxes ?? 5 }, (_, i) => `box-${i + 1}`);
    const authority = toBase64url(await this.coordinatorHsm.createKey("authority"));
    const key = toBase64url(await this.coordinatorHsm.createKey("identity"));
    const store = openMemoryStore(this.coordinatorDisk);
    const identities = new Map<string, { hsm: Hsm; key: string; vault: { generation: number; enc: string; ct: string } }>();
    for (const id of ids) identities.set(id, await this.#joinBox(id));

    const clientKeys = new Map(Object.keys(clients).map((id) => [id, generateSigner()]));
    const sensors = new Map(ids.map((id) => [id, new FakeSensor()]));
    const { templatePrefix } = await import("../../agent/protocol/evidence.ts");
    const enrolled = await Promise.all(people.map(async (person) => ({
      id: person.id, roles: [...person.roles],
      fingers: await Promise.all(person.boxes.map(async (box) => {
        const sensor = sensors.get(box)!;
        const enrolling = sensor.enrol({ digestPrefix: templatePrefix(site, person.id, "index"), timeoutMs: 1000 });
        sensor.touch(person.id);
        const { slot, digest } = await enrolling;
        return { name: "index", box, slot, template: toBase64url(digest) };
      })),
    })));
    const body: SiteRecordBody = {
      version: 1, previous: null, sealed: true, authority, tlsAuthority: toBase64url(new Uint8Array(32)),
      coordinator: { id: coordinatorId, key },
      boxes: ids.map((id, i) => ({ id, zone: this.#options.zones?.[i] ?? "here", key: identities.get(id)!.key })),
      people: enrolled,
      clients: Object.entries(clients).map(([id, person]) => ({ id, key: clientKeys.get(id)!.publicKey, admin: true, ...(person === undefined ? {} : { person }) })),
      roles: [...new Set(people.flatMap((person) => person.roles))],
      rules: rules as SiteRecordBody["rules"],
      ...this.#options.record,
    };
    const record = await signStatement({ sign: (message) => this.coordinatorHsm.sign("authority", message) }, "site-record", site, coordinatorId, body);
    await store.commit([putJson("site-record", record), ...(this.#options.keys ?? []).map((one) => putJson(`key/${one.key}`, { record: one, prepared: [] }))]);
    for (const id of ids) {
      const { hsm, vault } = identities.get(id)!;
      const disk = memoryDisk();
      await openMemoryStore(disk).commit([putJson("site-record", record), putJson("vault", vault)]);
      await this.#startBox(id, hsm, sensors.get(id)!, disk);
    }
    await this.startCoordinator();
    for (const [id, signer] of clientKeys) await this.#startClient(id, signer);
    await this.clock.until(() => ids.every((id) => this.coordinator.freshOf(id) !== undefined), 10_000, "every box heard");
    await this.clock.advance(2100); // the clients hear the coordinator
  }

  async #joinBox(id: string): Promise<{ hsm: Hsm; key: string; vault: { generation: number; enc: string; ct: string } }> {
    const plain = memoryHsm(id);
    const hsm = this.#options.hsm?.(id, plain) ?? plain;
    const key = toBase64url(await hsm.createKey("identity"));
    const recipient = await hsm.createSealKey({ generation: 1 });
    const { enc, ct } = await hsm.createVault({ generation: 1 });
    const info = challengeSecretContext(site, id);
    const secret = await this.coordinatorHsm.createChallengeSecret({ box: id, recipient, info });
    await hsm.acceptChallengeSecret({ box: id, generation: 1, info, ...secret });
    return { hsm, key, vault: { generation: 1, enc: toBase64url(enc), ct: toBase64url(ct) } };
  }

  async #startBox(id: string, hsm: Hsm, sensor: FakeSensor, disk: MemoryDisk): Promise<void> {
    const store = openMemoryStore(disk);
    const records = new RecordKeeper(store, this.#log);
    const session = await beginSession({ sign: (message) => hsm.sign("identity", message) }, site, id, systemRandom);
    const nonces = new NonceBook(this.clock, systemRandom);
    const transport = this.hub.connect(id);
    let fresh: string | undefined;
    const exchange = new Exchange({
      transport, session, clock: this.clock, random: systemRandom, log: this.#log, nonces,
      reader: { site, self: id, keyOf: (sender) => records.keyOf(sender), certificates: new CertificateCache() },
      freshOf: () => fresh, topicFor: (_peer, kind) => topic({ kind: "box", box: id, direction: "up", what: kind }),
    });
    const shown: string[] = [];
    const bridge = this.panels.get(id);
    const panel = bridge === undefined ? undefined : new BoxPanel(bridge, this.clock, this.#log, "report");
    if (bridge !== undefined) bridge.onStatus = (status) => { panel?.heard(status); };
    if (bridge !== undefined) panel?.heard(bridge.status);
    const ownDisplay = consoleDisplay((line) => { shown.push(line); });
    const logic = new Box({
      site, box: id, boot: session.certificate.body.boot, hsm, bridge: sensor, store, exchange, nonces, clock: this.clock, random: systemRandom,
      log: this.#log, records, display: panel?.display(ownDisplay) ?? ownDisplay, ...(panel === undefined ? {} : { panel }),
    }, { heartbeatMs: 2000, reshardWindowMs: this.#options.reshardWindowMs ?? 0 }, (nonce) => { fresh = nonce; });
    await transport.subscribe([topic({ kind: "box", box: id, direction: "down", what: "request" }), topic({ kind: "box", box: id, direction: "down", what: "response" }), topic({ kind: "coordinator", what: "heartbeat" })]);
    logic.start();
    this.boxes.set(id, { id, hsm, sensor, disk, store, exchange, nonces, logic, setUp: (up) => { transport.setUp(up); }, shown });
  }

  /** The agent dies: its panel goes on watching. */
  stopBox(id: string): void {
    const old = this.box(id);
    old.logic.stop();
    old.setUp(false);
    const panel = this.panels.get(id);
    if (panel !== undefined) panel.onStatus = () => undefined;
  }

  /** The agent dies and starts again: memory is gone, store and HSM are there. */
  async restartBox(id: string): Promise<void> {
    const old = this.box(id);
    this.stopBox(id);
    await this.#startBox(id, old.hsm, old.sensor, old.disk);
  }

  /** Of the coordinator's life before. */
  #disconnect: () => Promise<void> = () => Promise.resolve();

  async stopCoordinator(): Promise<void> {
    this.coordinator.stop();
    await this.#disconnect();
  }

  async startCoordinator(): Promise<void> {
    const store = openMemoryStore(this.coordinatorDisk);
    const hsm = this.coordinatorHsm;
    const config = coordinatorConfig.parse({ site, state: "/nowhere", hsm: { module: "/m", token: "t", pinFile: "/p" }, broker: { url: "mqtts://x:1" }, operationMs: 60_000, ...this.#options.config });
    this.keeper = new SiteKeeper(store, hsm);
    this.coordinatorSession = await beginSession({ sign: (message) => hsm.sign("identity", message) }, site, coordinatorId, systemRandom);
    const nonces = new NonceBook(this.clock, systemRandom);
    await this.#disconnect();
    const transport = this.hub.connect(coordinatorId);
    this.#disconnect = () => transport.close();
    this.coordinatorExchange = new Exchange({
      transport, session: this.coordinatorSession, clock: this.clock, random: systemRandom, log: this.#log, nonces,
      reader: { site, self: coordinatorId, keyOf: (sender) => this.keeper.keyOf(sender), certificates: new CertificateCache() },
      freshOf: (box) => this.coordinator.freshOf(box),
      topicFor: (peer, kind) => (this.keeper.kindOf(peer) === "box" ? topic({ kind: "box", box: peer, direction: "down", what: kind }) : topic({ kind: "client", client: peer, direction: "down", what: kind })),
    });
    const enclaves = new EnclavePool(() => {
      const life = { ended: false, spent: false };
      this.enclaves.push(life);
      const core = new EnclaveCore(systemRandom, () => { life.spent = true; });
      const enclave: Enclave = {
        keys: core.keys, pid: undefined, payload: (args) => core.payload(args), create: (args) => core.create(args), operate: (args) => core.operate(args),
        end: async () => { life.ended = true; await core.end(); },
      };
      return Promise.resolve(enclave);
    });
    this.coordinator = new Coordinator({
      config, session: this.coordinatorSession, hsm, enclaves, store, exchange: this.coordinatorExchange, nonces, clock: this.clock, random: systemRandom, log: this.#log,
      certifier: { ca: "", certify: () => Promise.resolve("") }, site: this.keeper,
    });
    await transport.subscribe(everybodyUp);
    this.coordinator.start();
  }

  async #startClient(id: string, signer: ReturnType<typeof generateSigner>): Promise<void> {
    const session = await beginSession(signer, site, id, systemRandom);
    const transport = this.hub.connect(`${id}.00000000`);
    let fresh: string | undefined;
    const exchange = new Exchange({
      transport, session, clock: this.clock, random: systemRandom, log: this.#log, nonces: new NonceBook(this.clock, systemRandom),
      reader: { site, self: id, keyOf: (sender) => (sender === coordinatorId ? this.record.body.coordinator.key : undefined), certificates: new CertificateCache() },
      freshOf: () => fresh, topicFor: (_peer, kind) => topic({ kind: "client", client: id, direction: "up", what: kind }),
    });
    exchange.onEvent((name, data) => {
      const beat = name === "coordinator" ? coordinatorHeartbeat.safeParse(data) : undefined;
      if (beat?.success === true) fresh = beat.data.nonce;
    });
    await transport.subscribe([topic({ kind: "client", client: id, direction: "down", what: "response" }), topic({ kind: "coordinator", what: "heartbeat" })]);
    this.clients.set(id, { session, signer, exchange });
  }
}

export const recordHash = (record: SiteRecord): string => statementHash(record);

import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findSoftHsm } from "#paths";
import { connectClient, readClient, systemParts, type Client, type Progress } from "../../agent/client/index.ts";
import { SensorControl } from "../../firmware-bridge/emulators/control.ts";
import type { SitePolicy } from "../../agent/protocol/site-record.ts";
import { DemoError, run, SiteProcess } from "./process.ts";
import { waitUntil } from "./wait.ts";

export const boxIds = ["box-1", "box-2", "box-3", "box-4", "box-5"] as const;
export type BoxId = typeof boxIds[number];

/** Who is enrolled where; an auditor is a person of the site who may approve nothing. */
export const people = [
  { person: "alice", role: "officer", box: "box-1" },
  { person: "bob", role: "officer", box: "box-2" },
  { person: "eve", role: "auditor", box: "box-1" },
] as const;

const two = [{ role: "officer", people: 2 }];
const one = [{ role: "officer", people: 1 }];
const rule = { requester: "never", confirm: "none", distinctBoxes: true } as const;
export const policy: SitePolicy = {
  roles: ["officer", "auditor"],
  people: people.map(({ person, role }) => ({ id: person, roles: [role] })),
  clients: [],
  rules: [
    { ...rule, key: "payroll", resource: "**", operations: ["create"], require: two },
    { ...rule, key: "payroll", resource: "payroll/**", operations: ["encrypt", "wrap"], require: one },
    { ...rule, key: "payroll", resource: "payroll/**", operations: ["decrypt", "unwrap"], require: two, confirm: "code" },
    { ...rule, key: "payroll", resource: "public/**", operations: ["encrypt", "decrypt"], require: [{ person: "alice" }] },
  ],
};

/** Opcodes (hardware/fingerprint.md §2.2) by which a sensor looks for a finger. */
const getImage = "01";
const getImageEx = "28";

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject).listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => { resolve(typeof address === "object" && address !== null ? address.port : 0); });
    });
  });
}

/**
 * A site of five boxes and a coordinator on this machine: real processes, real PKCS#11 tokens, real serial
 * lines, MQTT over TLS. Emulated are the five sensors, each behind a pseudo-terminal of its own.
 */
export class DemoSite {
  readonly folder: string;
  readonly #processes = new Map<string, SiteProcess>();
  readonly #sensors = new Map<BoxId, SensorControl>();
  #client: Client | undefined;
  #port = 0;

  constructor() {
    // The longest path in it is a Unix socket's, at most 107 bytes.
    this.folder = mkdtempSync(join(tmpdir(), "shardkeep-demo-"));
  }

  get client(): Client {
    if (this.#client === undefined) throw new DemoError("DEMO_PROCESS_FAILED", "the site is not up");
    return this.#client;
  }

  get processes(): ReadonlyMap<string, SiteProcess> {
    return this.#processes;
  }

  sensor(box: BoxId): SensorControl {
    const sensor = this.#sensors.get(box);
    if (sensor === undefined) throw new DemoError("DEMO_PROCESS_FAILED", `${box} has no sensor`);
    return sensor;
  }

  path(...parts: readonly string[]): string {
    return join(this.folder, ...parts);
  }

  configOf(name: string): string {
    return this.path(`${name}.yaml`);
  }

  /** Tokens, keys, certificates: by the same programs that a field tech runs. */
  async provision(): Promise<void> {
    this.#port = await freePort();
    mkdirSync(this.path("log"));
    this.#writeConfigs();
    await Promise.all([
      this.#run("site init", "agent/coordinator/init.js", ["--config", this.configOf("coordinator")]),
      ...boxIds.map((box) => this.#run(`${box} request`, "agent/box/init.js", ["request", "--config", this.configOf(box), "--out", this.path(`${box}.request.json`)])),
      ...boxIds.map((box) => this.#startSensor(box)),
    ]);
    await this.startCoordinator();
    for (const box of boxIds) {
      const { answer } = await this.client.request("box-approve", { request: JSON.parse(readFileSync(this.path(`${box}.request.json`), "utf8")) as never });
      writeFileSync(this.path(`${box}.answer.json`), JSON.stringify(answer));
    }
    const { authority } = this.client.record.body;
    await Promise.all(boxIds.map((box) => this.#run(`${box} accept`, "agent/box/init.js", ["accept", this.path(`${box}.answer.json`), "--config", this.configOf(box), "--authority", authority])));
  }

  async startCoordinator(): Promise<void> {
    await this.#start("coordinator", "agent/coordinator/main.js", ["--config", this.configOf("coordinator")], /started/);
    this.#client = await connectClient(readClient(this.path("coordinator", "clients", "admin", "client.yaml")), systemParts);
  }

  async stopCoordinator(): Promise<void> {
    await this.#client?.close();
    this.#client = undefined;
    await this.stop("coordinator");
  }

  /** Until the coordinator hears it: of its new life, because nonces of an old one are forgotten. */
  async startBox(box: BoxId): Promise<void> {
    const coordinator = this.#processes.get("coordinator");
    const from = coordinator?.lines.length ?? 0;
    await this.#start(box, "agent/box/main.js", ["--config", this.configOf(box)], /started/);
    await coordinator?.line(new RegExp(`box heard box="${box}"`), from);
  }

  /** All boxes running, heard by the coordinator, with a sensor in order and the newest site record. */
  async startBoxes(): Promise<void> {
    await Promise.all(boxIds.filter((box) => !this.#processes.has(box)).map((box) => this.startBox(box)));
    await this.boxesReady();
  }

  async boxesReady(): Promise<void> {
    await waitUntil("every box ready", 30_000, async () => {
      const { boxes, siteRecord } = await this.client.request("status", {});
      return boxes.every((box) => box.state === "ready" && box.sensor === "ready" && box.siteRecord === siteRecord.version);
    });
  }

  async stop(name: string): Promise<void> {
    await this.#processes.get(name)?.stop();
    this.#processes.delete(name);
  }

  async kill(name: string): Promise<void> {
    await this.#processes.get(name)?.kill();
    this.#processes.delete(name);
  }

  /** Stops everything but the sensors. */
  async stopAll(): Promise<void> {
    await this.#client?.close();
    this.#client = undefined;
    await Promise.all([...this.#processes.keys()].filter((name) => !name.startsWith("sensor-")).map((name) => this.stop(name)));
  }

  /** Keeps the whole state, to come back to after a scenario that leaves marks. The site must be stopped. */
  snapshot(): void {
    for (const name of ["coordinator", ...boxIds]) cpSync(this.path(name), this.path("kept", name), { recursive: true, preserveTimestamps: true });
  }

  restore(): void {
    for (const name of ["coordinator", ...boxIds]) {
      const aside = this.path(`${name}.used`);
      renameSync(this.path(name), aside);
      cpSync(this.path("kept", name), this.path(name), { recursive: true, preserveTimestamps: true });
      rmSync(aside, { recursive: true });
    }
  }

  /** Enrols a person at a box, with the emulated finger that follows what the sensor asks for. */
  async enrol(person: string, role: string, box: BoxId): Promise<void> {
    const sensor = this.sensor(box);
    let moves = Promise.resolve();
    const { sensor: kind } = await this.client.request("person-enrol", { person, finger: "index", box, roles: [role] }, {
      deadlineMs: 90_000,
      onPart: ({ step }) => {
        moves = moves.then(async () => {
          if (step === "touch") await sensor.touch(`${person}-index`);
          if (step === "lift") await sensor.lift();
        });
      },
    });
    await moves;
    await sensor.lift();
    if (kind !== "emulated") throw new DemoError("DEMO_EXPECTATION_FAILED", "an emulated sensor calls itself a device");
  }

  /** Puts a finger down once the sensor of `box` looks for one, and lifts it again. */
  async press(box: BoxId, finger: string): Promise<void> {
    const sensor = this.sensor(box);
    const captures = async (): Promise<number> => {
      const { commands } = await sensor.state();
      return (commands[getImage] ?? 0) + (commands[getImageEx] ?? 0);
    };
    // Two looks at an empty plate: the sensor waits for this prompt, and a finger that lay there would not count.
    const before = await captures();
    await waitUntil(`the sensor of ${box} looks for a finger`, 15_000, async () => (await captures()) >= before + 2, 50);
    await sensor.press(finger);
    await waitUntil(`${finger} is lifted at ${box}`, 10_000, async () => (await sensor.state()).finger === null, 50);
  }

  /** Ends everything; the folder goes, unless it is to be looked at. */
  async end(keep: boolean): Promise<void> {
    await this.stopAll();
    for (const sensor of this.#sensors.values()) sensor.close();
    await Promise.all([...this.#processes.values()].map((process) => process.stop()));
    if (!keep) rmSync(this.folder, { recursive: true, force: true });
  }

  #writeConfigs(): void {
    const softHsm = findSoftHsm();
    if (softHsm === null) throw new DemoError("DEMO_PROCESS_FAILED", "SoftHSM2 is not there", { remedy: "npm run setup" });
    // Unpacked without root: the processes that load the module find its libraries by this.
    Object.assign(process.env, softHsm.env);
    const hsm = (name: string): object => ({ module: softHsm.file, token: name, pinFile: `${name}/pin`, softhsmConf: `${name}/softhsm2.conf` });
    const write = (name: string, config: object): void => { writeFileSync(this.configOf(name), `${JSON.stringify(config, null, 2)}\n`); };
    write("coordinator", {
      site: "demo", state: "coordinator", hsm: hsm("coordinator"), broker: { listen: { host: "127.0.0.1", port: this.#port } },
      heartbeatMs: 500, suspectMs: 5000, operationMs: 60_000, mostRefusedFingers: 2,
    });
    for (const box of boxIds) {
      write(box, {
        site: "demo", box, zone: "here", state: box, hsm: hsm(box), broker: `mqtts://127.0.0.1:${this.#port}`,
        sensor: { path: `${box}.tty`, allowEmulated: true }, display: "console", heartbeatMs: 500,
      });
    }
  }

  async #startSensor(box: BoxId): Promise<void> {
    const control = this.path(`${box}.sock`);
    await this.#start(`sensor-${box}`, "firmware-bridge/emulators/main.js", ["sensor", "--link", this.path(`${box}.tty`), "--control", control, "--state", this.path(`${box}.sensor.json`)], /"ready":true/);
    this.#sensors.set(box, await SensorControl.connect(control));
  }

  async #start(name: string, entry: string, args: readonly string[], ready: RegExp): Promise<void> {
    const started = new SiteProcess(name, entry, args, this.path("log", `${name}.log`));
    this.#processes.set(name, started);
    await started.line(ready);
  }

  #run(name: string, entry: string, args: readonly string[]): Promise<void> {
    return run(name, entry, args, this.path("log", `${name.replaceAll(" ", "-")}.log`));
  }
}

export type { Progress };

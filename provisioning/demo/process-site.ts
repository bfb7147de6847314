import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findSoftHsm } from "#paths";
import { connectClient, readClient, systemParts, type Client } from "../../agent/client/index.ts";
import { DemoError, run, SiteProcess } from "./process.ts";
import { waitUntil } from "./wait.ts";

const maintenanceMs = 30_000;

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject).listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => { resolve(typeof address === "object" && address !== null ? address.port : 0); });
    });
  });
}

/** What differs between the sites of the demo, of the bench and of the kill matrix. */
export interface SitePlan {
  readonly boxes: readonly string[];
  /** Compiled main of a box, relative to dist/. */
  readonly boxEntry: string;
  /** That of the coordinator; the real one if none is named. */
  readonly coordinatorEntry?: string;
  /** Beside what every coordinator's configuration has. */
  readonly coordinator: Readonly<Record<string, unknown>>;
  /** Beside what every box's configuration has. */
  readonly box?: Readonly<Record<string, unknown>>;
  /** Boxes that have a panel, at `<box>.panel`. */
  readonly panels?: readonly string[];
}

/** Another main file for one box, relative to dist/, and its arguments before `--config`. */
export interface OtherBox {
  readonly entry: string;
  readonly args: readonly string[];
}

/**
 * A site on this machine: a coordinator with its broker and boxes, each with a PKCS#11 token of its own, all
 * of them processes, made by the same programs that a field tech runs.
 */
export class ProcessSite {
  readonly folder: string;
  readonly #plan: SitePlan;
  readonly #processes = new Map<string, SiteProcess>();
  #client: Client | undefined;
  #port = 0;

  constructor(plan: SitePlan) {
    this.#plan = plan;
    // The longest path in it is a Unix socket's, at most 107 bytes.
    this.folder = mkdtempSync(join(tmpdir(), "shardkeep-demo-"));
    mkdirSync(this.path("log"));
  }

  get client(): Client {
    if (this.#client === undefined) throw new DemoError("DEMO_PROCESS_FAILED", "the site is not up");
    return this.#client;
  }

  get processes(): ReadonlyMap<string, SiteProcess> {
    return this.#processes;
  }

  path(...parts: readonly string[]): string {
    return join(this.folder, ...parts);
  }

  configOf(name: string): string {
    return this.path(`${name}.yaml`);
  }

  /** Tokens, keys, certificates; the coordinator runs afterwards, and `meanwhile` has run beside. */
  async provision(meanwhile: readonly Promise<void>[] = []): Promise<void> {
    const { boxes } = this.#plan;
    this.#port = await freePort();
    this.#writeCoordinator();
    await Promise.all([
      this.#run("site init", "agent/coordinator/init.js", ["--config", this.configOf("coordinator")]),
      ...boxes.map((box) => this.request(box)),
      ...meanwhile,
    ]);
    await this.startCoordinator();
    for (const box of boxes) {
      const { answer } = await this.client.request("box-approve", { request: JSON.parse(readFileSync(this.path(`${box}.request.json`), "utf8")) as never });
      writeFileSync(this.path(`${box}.answer.json`), JSON.stringify(answer));
    }
    await Promise.all(boxes.map((box) => this.accept(box)));
  }

  /** A box's configuration, token, keys and request to join, as `shardkeep box request` makes them. */
  request(box: string): Promise<void> {
    this.#writeBox(box);
    return this.#run(`${box} request`, "agent/box/init.js", ["request", "--config", this.configOf(box), "--out", this.path(`${box}.request.json`)]);
  }

  accept(box: string): Promise<void> {
    return this.#run(`${box} accept`, "agent/box/init.js", ["accept", this.path(`${box}.answer.json`), "--config", this.configOf(box), "--authority", this.client.record.body.authority]);
  }

  async startCoordinator(): Promise<void> {
    await this.start("coordinator", this.#plan.coordinatorEntry ?? "agent/coordinator/main.js", ["--config", this.configOf("coordinator")], /started/);
    this.#client = await connectClient(readClient(this.path("coordinator", "clients", "admin", "client.yaml")), systemParts);
  }

  async stopCoordinator(end: "stop" | "kill" = "stop"): Promise<void> {
    const killed = end === "kill" ? this.kill("coordinator") : undefined;
    await this.#client?.close();
    this.#client = undefined;
    await (killed ?? this.stop("coordinator"));
  }

  /** Until the coordinator hears it: of its new life, because nonces of an old one are forgotten. */
  async startBox(box: string, { entry, args }: OtherBox = { entry: this.#plan.boxEntry, args: [] }): Promise<void> {
    const coordinator = this.#processes.get("coordinator");
    const from = coordinator?.lines.length ?? 0;
    await this.start(box, entry, [...args, "--config", this.configOf(box)], /started/);
    await coordinator?.line(new RegExp(`box heard box="${box}"`), from);
  }

  /** Another program in a box's place, or the own one again; announced, so that nobody is lost meanwhile. */
  async exchangeBox(box: string, other?: OtherBox): Promise<void> {
    await this.client.request("box-pause", { box, forMs: maintenanceMs });
    await this.stop(box);
    await this.startBox(box, other);
    await this.client.request("box-resume", { box });
  }

  /** All boxes running, heard by the coordinator, with a sensor in order and the newest site record. */
  async startBoxes(): Promise<void> {
    await Promise.all(this.#plan.boxes.filter((box) => !this.#processes.has(box)).map((box) => this.startBox(box)));
    await this.boxesReady();
  }

  async boxesReady(): Promise<void> {
    await waitUntil("every box ready", 30_000, async () => {
      const { boxes, siteRecord } = await this.client.request("status", {});
      return boxes.every((box) => box.state === "ready" && box.sensor === "ready" && box.siteRecord === siteRecord.version);
    });
  }

  async start(name: string, entry: string, args: readonly string[], ready: RegExp): Promise<void> {
    const started = new SiteProcess(name, entry, args, this.path("log", `${name}.log`));
    this.#processes.set(name, started);
    await started.line(ready);
  }

  async stop(name: string): Promise<void> {
    await this.#processes.get(name)?.stop();
    this.#processes.delete(name);
  }

  async kill(name: string): Promise<void> {
    await this.#processes.get(name)?.kill();
    this.#processes.delete(name);
  }

  /** Stops coordinator and boxes. */
  async stopAll(): Promise<void> {
    await this.#client?.close();
    this.#client = undefined;
    await Promise.all(["coordinator", ...this.#plan.boxes].map((name) => this.stop(name)));
  }

  /** Keeps the whole state, to come back to after a scenario that leaves marks. The site must be stopped. */
  snapshot(): void {
    for (const name of ["coordinator", ...this.#plan.boxes]) cpSync(this.path(name), this.path("kept", name), { recursive: true, preserveTimestamps: true });
  }

  restore(): void {
    for (const name of ["coordinator", ...this.#plan.boxes]) this.putBack(name, this.path("kept", name));
  }

  /** What an image of its disk would hold: the process stands still meanwhile, if it runs. */
  copy(name: string, to: string): void {
    const process = this.#processes.get(name);
    process?.signal("SIGSTOP");
    try {
      cpSync(this.path(name), to, { recursive: true, preserveTimestamps: true });
    } finally {
      process?.signal("SIGCONT");
    }
  }

  /** A folder as it was in `from`; its process must be stopped. */
  putBack(name: string, from: string): void {
    const aside = this.path(`${name}.used`);
    renameSync(this.path(name), aside);
    cpSync(from, this.path(name), { recursive: true, preserveTimestamps: true });
    rmSync(aside, { recursive: true });
  }

  /** Ends everything; the folder goes, unless it is to be looked at. */
  async end(keep: boolean): Promise<void> {
    await this.stopAll();
    await Promise.all([...this.#processes.values()].map((process) => process.stop()));
    if (!keep) rmSync(this.folder, { recursive: true, force: true });
  }

  #writeCoordinator(): void {
    this.#write("coordinator", { broker: { listen: { host: "127.0.0.1", port: this.#port } }, heartbeatMs: 500, suspectMs: 5000, ...this.#plan.coordinator });
  }

  #writeBox(box: string): void {
    this.#write(box, {
      box, zone: "here", broker: `mqtts://127.0.0.1:${this.#port}`, sensor: { path: `${box}.tty`, allowEmulated: true }, display: "console", heartbeatMs: 500, ...this.#plan.box,
      ...(this.#plan.panels?.includes(box) === true ? { panel: { path: `${box}.panel`, allowEmulated: true } } : {}),
    });
  }

  #write(name: string, config: object): void {
    const softHsm = findSoftHsm();
    if (softHsm === null) throw new DemoError("DEMO_PROCESS_FAILED", "SoftHSM2 is not there", { remedy: "npm run setup" });
    // Unpacked without root: the processes that load the module find its libraries by this.
    Object.assign(process.env, softHsm.env);
    const hsm = { module: softHsm.file, token: name, pinFile: `${name}/pin`, softhsmConf: `${name}/softhsm2.conf` };
    writeFileSync(this.configOf(name), `${JSON.stringify({ site: "demo", state: name, hsm, ...config }, null, 2)}\n`);
  }

  #run(name: string, entry: string, args: readonly string[]): Promise<void> {
    return run(name, entry, args, this.path("log", `${name.replaceAll(" ", "-")}.log`));
  }
}

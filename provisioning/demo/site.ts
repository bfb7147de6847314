import { PanelControl, SensorControl } from "../../firmware-bridge/emulators/control.ts";
import type { SitePolicy } from "../../agent/protocol/site-record.ts";
import { DemoError, SiteProcess } from "./process.ts";
import { ProcessSite } from "./process-site.ts";
import { waitUntil } from "./wait.ts";

const everyBox = ["box-1", "box-2", "box-3", "box-4", "box-5", "box-6", "box-7"] as const;
export type BoxId = typeof everyBox[number];
/** The boxes of the usual site: all of them hold the key. */
export const boxIds: readonly BoxId[] = everyBox.slice(0, 5);

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
    { ...rule, key: "payroll", resource: "vault/**", operations: ["encrypt"], require: one, confirm: "button" },
    { ...rule, key: "site", resource: "**", operations: ["record"], require: two },
    { ...rule, key: "site", resource: "**", operations: ["readmit"], require: one },
  ],
};

/** Opcodes (hardware/fingerprint.md §2.2) by which a sensor looks for a finger. */
const getImage = "01";
const getImageEx = "28";

/**
 * A silent box is found out in two seconds and not in fifteen, and holders may change one after the other:
 * only for a demo, in which nobody has to be protected from a coordinator that changes them too fast.
 */
const quickCoordinator = { heartbeatMs: 300, suspectMs: 800, probeMs: 500, lostMs: 1600, steadyMs: 1000, flapWindowMs: 1000, reshardWindowMs: 0, reshardStepMs: 4000 };
const quickBox = { heartbeatMs: 300, reshardWindowMs: 0 };

/**
 * What the sites of the demo differ in: on `quick` a silent box is soon lost, `periodic` has two boxes to spare, on
 * `panel` two boxes have panels: an emulated controller works all the time, so the other sites do without.
 */
const kinds = {
  usual: { boxes: boxIds, coordinator: {}, box: {}, panels: [] },
  quick: { boxes: boxIds, coordinator: quickCoordinator, box: quickBox, panels: [] },
  panel: { boxes: boxIds, coordinator: { steadyMs: 1000, reshardWindowMs: 0 }, box: { reshardWindowMs: 0 }, panels: ["box-1", "box-5"] },
  periodic: { boxes: everyBox, coordinator: { reshardPeriodMs: 1000, reshardWindowMs: 0 }, box: quickBox, panels: [] },
} as const satisfies Readonly<Record<string, { readonly boxes: readonly BoxId[]; readonly coordinator: object; readonly box: object; readonly panels: readonly BoxId[] }>>;
export type SiteKind = keyof typeof kinds;

/**
 * The demo's site: boxes whose sensors are emulated, each behind a pseudo-terminal of its own. All else
 * is real: processes, PKCS#11 tokens, serial lines, MQTT over TLS.
 */
export class DemoSite extends ProcessSite {
  readonly kind: SiteKind;
  readonly #sensors = new Map<BoxId, SensorControl>();
  readonly #panels = new Map<BoxId, PanelControl>();

  constructor(kind: SiteKind) {
    const { boxes, coordinator, box, panels } = kinds[kind];
    super({ boxes, boxEntry: "agent/box/main.js", coordinator: { operationMs: 60_000, mostRefusedFingers: 2, ...coordinator }, box, panels });
    this.kind = kind;
  }

  get boxes(): readonly BoxId[] {
    return kinds[this.kind].boxes;
  }

  sensor(box: BoxId): SensorControl {
    const sensor = this.#sensors.get(box);
    if (sensor === undefined) throw new DemoError("DEMO_PROCESS_FAILED", `${box} has no sensor`);
    return sensor;
  }

  panel(box: BoxId): PanelControl {
    const panel = this.#panels.get(box);
    if (panel === undefined) throw new DemoError("DEMO_PROCESS_FAILED", `${box} has no panel`);
    return panel;
  }

  override async provision(): Promise<void> {
    await super.provision([...this.boxes.map((box) => this.#startSensor(box)), ...kinds[this.kind].panels.map((box) => this.#startPanel(box))]);
  }

  /** A box that was not there before asks to join; gives the path of its request. */
  async newBox(box: BoxId): Promise<string> {
    await Promise.all([this.#startSensor(box), this.request(box)]);
    return this.path(`${box}.request.json`);
  }

  /** A command of the administrator's, as a process; what it says is waited for. `input`: a file that it reads as stdin. */
  command(name: string, args: readonly string[], input?: string): SiteProcess {
    return new SiteProcess(name, "provisioning/main.js", [...args, "--client", this.path("coordinator", "clients", "admin", "client.yaml")], this.path("log", `${name}.log`), input);
  }

  /** Follows with an emulated finger what a command that enrols says about the sensor of `box`, until it says `end`. */
  async enrolBy(command: SiteProcess, box: BoxId, finger: string, end: RegExp): Promise<void> {
    const sensor = this.sensor(box);
    const wanted = new RegExp(`^${box}: |${end.source}`);
    for (let at = command.lines.findIndex((line) => line.includes(` at ${box}:`)) + 1, line = ""; !end.test(line); at = command.lines.indexOf(line, at) + 1) {
      line = await command.line(wanted, at);
      if (line.includes("put the finger")) await sensor.touch(finger);
      if (line.includes("lift the finger")) await sensor.lift();
    }
    await sensor.lift();
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

  override async end(keep: boolean): Promise<void> {
    for (const line of [...this.#sensors.values(), ...this.#panels.values()]) line.close();
    await super.end(keep);
  }

  async #startSensor(box: BoxId): Promise<void> {
    const control = this.path(`${box}.sock`);
    await this.start(`sensor-${box}`, "firmware-bridge/emulators/main.js", ["sensor", "--link", this.path(`${box}.tty`), "--control", control, "--state", this.path(`${box}.sensor.json`)], /"ready":true/);
    this.#sensors.set(box, await SensorControl.connect(control));
  }

  /** Without a display: what is asked for stands on the console. */
  async #startPanel(box: BoxId): Promise<void> {
    const control = this.path(`${box}.panel.sock`);
    await this.start(`panel-${box}`, "firmware-bridge/emulators/main.js", ["panel", "--no-display", "--link", this.path(`${box}.panel`), "--control", control, "--state", this.path(`${box}.eeprom`)], /"ready":true/);
    this.#panels.set(box, await PanelControl.connect(control));
  }
}

import { existsSync } from "node:fs";
import { join } from "node:path";
import { BridgeProcess, type PanelStatus, type SensorStatus } from "../../firmware-bridge/client.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import type { BoxConfig } from "../../agent/box/config.ts";
import { Concern, saidError, type Check } from "./check.ts";
import { agentHasIt, checkLine } from "./serial.ts";

/** Five rates and a silent device at each take so long. */
const greetingMs = 20_000;
const emulated = (text: string, isEmulated: boolean): string => (isEmulated ? `${text} (emulated: it measures nothing)` : text);

export function judgeSensor({ state, emulated: isEmulated, model, templates, detail = "it does not answer" }: SensorStatus): string {
  if (state === "ready") return emulated(`${model ?? "sensor"}, ${templates ?? 0} fingers`, isEmulated);
  if (state === "unpaired") throw new Concern("SENSOR_UNPAIRED", "it answers and is paired with no box", { remedy: "the agent pairs it while the site record is unsealed; after the seal put back the sensor that was enrolled" });
  throw saidError(detail, "SENSOR_ABSENT", "docs/operations.md has this code under Sensor; cable and supply first");
}

export function judgePanel({ state, emulated: isEmulated, firmware, tamper, detail = "it does not answer" }: PanelStatus): string {
  if (state === "ready") return emulated(`${firmware ?? "panel"}${tamper?.open === true ? ", LID OPEN" : ""}`, isEmulated);
  throw saidError(detail, "PANEL_ABSENT", "docs/operations.md has this code under Panel; cable and supply first");
}

interface Asked {
  readonly sensor: Promise<SensorStatus>;
  readonly panel: Promise<PanelStatus>;
  readonly stop: () => Promise<void>;
}

/** The first word about each device, from the very process that the agent would start. */
function askBridge({ state, sensor, panel }: BoxConfig): Asked {
  let bridge: BridgeProcess | undefined;
  let onPanel: (status: PanelStatus) => void = () => undefined;
  const ofSensor = new Promise<SensorStatus>((resolve, reject) => {
    bridge = new BridgeProcess({
      config: { sensor: { ...sensor, stateFile: join(state, "sensor.json") }, panel: panel && { path: panel.path, allowEmulated: panel.allowEmulated } },
      // Before the box has asked to join there is no folder to lock in.
      ...(existsSync(state) ? { lockFile: join(state, "sensor.lock") } : {}),
      log: silentLog, quiet: true, onSensor: resolve, onPanel: (status) => { onPanel(status); },
    });
    bridge.start().catch(reject);
  });
  const ofPanel = new Promise<PanelStatus>((resolve, reject) => {
    // What it says before it has looked: absent, without a reason.
    onPanel = (status) => { if (status.state !== "absent" || status.detail !== undefined) resolve(status); };
    ofSensor.catch(reject);
  });
  ofPanel.catch(() => undefined);
  return { sensor: ofSensor, panel: ofPanel, stop: async () => { await bridge?.stop(); } };
}

/** The lines alone: none is opened, for that may reset a device. One that is to be found has no name yet. */
export function lineChecks({ sensor, panel }: BoxConfig, running: boolean): Check[] {
  return [{ name: "sensor line", ...sensor }, ...(panel === null ? [] : [{ name: "panel line", ...panel }])]
    .filter(({ path }) => path !== "auto")
    .map(({ name, path, allowEmulated }) => ({ name, run: () => checkLine(path, allowEmulated, running) }));
}

export function deviceChecks(config: BoxConfig, running: boolean): Check[] {
  const { panel } = config;
  const lines = lineChecks(config, running);
  if (running) return [...lines, { name: "sensor", run: () => { throw agentHasIt(); } }];
  const bridge = askBridge(config);
  let asked = panel === null ? 1 : 2;
  // Every check's signal aborts when it is over, with or without an answer.
  const asking = async (signal: AbortSignal, work: () => Promise<string>): Promise<string> => {
    signal.addEventListener("abort", () => { if (--asked === 0) void bridge.stop(); });
    return await work();
  };
  return [
    ...lines,
    { name: "sensor", deadlineMs: greetingMs, run: (signal: AbortSignal) => asking(signal, async () => judgeSensor(await bridge.sensor)) },
    ...(panel === null ? [] : [{ name: "panel", deadlineMs: greetingMs, run: (signal: AbortSignal) => asking(signal, async () => judgePanel(await bridge.panel)) }]),
  ];
}

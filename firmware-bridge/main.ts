import { z } from "zod";
import { systemClock } from "../agent/runtime/clock.ts";
import { exitCodes } from "../agent/runtime/config.ts";
import { exitWithParent, serveParent, tellParent } from "../agent/runtime/ipc.ts";
import { stdoutLog } from "../agent/runtime/log.ts";
import { systemRandom } from "../agent/runtime/random.ts";
import { greet } from "./biometrics/fingerprint/greet.ts";
import { pairingFile } from "./biometrics/fingerprint/pairing-file.ts";
import { FingerprintSensor } from "./biometrics/fingerprint/sensor.ts";
import { bridgeCalls, bridgeConfig } from "./calls.ts";
import { PanelService, type PanelConnection } from "./panel/service.ts";
import { discover } from "./serial/discovery.ts";
import { LineSupervisor } from "./serial/supervisor.ts";
import { SensorService, type SensorConnection } from "./service.ts";

/** The process that alone owns the serial lines. argv[2]: its configuration (`bridgeConfig`) as JSON. */
exitWithParent();
const log = stdoutLog("firmware-bridge");
const clock = systemClock;

const config = bridgeConfig.safeParse(JSON.parse(process.argv[2] ?? "null"));
if (!config.success) {
  log.error("bad configuration", { problems: z.prettifyError(config.error) });
  process.exit(exitCodes.config);
}
const { sensor: { path, allowEmulated, stateFile, securityLevel }, panel: panelConfig } = config.data;
const store = pairingFile(stateFile);

async function connect(): Promise<SensorConnection> {
  const exchange = await discover({ path, setting: "sensor.path", allowEmulated, clock, handshake: (line) => greet(line, clock) });
  const { line } = exchange;
  log.info("sensor found", { path: line.path, baud: line.baudRate, emulated: line.emulated });
  return {
    sensor: new FingerprintSensor({ exchange, clock, random: systemRandom, store, securityLevel }),
    closed: line.closed,
    close: () => line.close(),
    onUnasked: (listener) => { exchange.onUnasked(listener); },
  };
}

const service = new SensorService({
  clock,
  onStatus: (status) => {
    log.info("sensor", { state: status.state, emulated: status.emulated, detail: status.detail });
    tellParent("sensor", status);
  },
  onEnrol: (step) => { tellParent("enrol", step); },
});
const panels = new PanelService({
  configured: panelConfig !== null,
  onStatus: (status) => {
    log.info("panel", { state: status.state, emulated: status.emulated, latch: status.latch, open: status.tamper?.open, latched: status.tamper?.latched, counter: status.tamper?.counter, detail: status.detail });
    tellParent("panel", status);
  },
  ring: async (state) => { await service.handlers.light({ state }); },
});
serveParent(bridgeCalls, { ...service.handlers, ...panels.handlers });
tellParent("ready");
new LineSupervisor({
  connect,
  onUp: (connection) => { service.connected(connection); },
  onDown: (reason) => { service.disconnected(reason); },
  clock,
}).start();
if (panelConfig !== null) {
  // The agent may still believe what this process said before it was started again.
  panels.disconnected(undefined);
  // Five megabytes that a box without a panel does not carry.
  const { openPanel, panelBaudRates } = await import("./panel/panel.ts");
  new LineSupervisor<PanelConnection>({
    connect: async () => {
      const panel = await discover({
        ...panelConfig, setting: "panel.path", clock, baudRates: panelBaudRates, handshake: (line) => openPanel({ line, clock, random: systemRandom }),
      });
      log.info("panel found", { path: panel.line.path, emulated: panel.line.emulated, firmware: panel.facts.firmware });
      return { panel, closed: panel.line.closed, close: () => panel.line.close() };
    },
    onUp: (connection) => { panels.connected(connection); },
    onDown: (reason) => { panels.disconnected(reason); },
    clock,
  }).start();
}

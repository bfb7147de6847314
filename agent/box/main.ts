import { join } from "node:path";
import { BridgeProcess } from "../../firmware-bridge/client.ts";
import { systemClock } from "../runtime/clock.ts";
import { stdoutLog } from "../runtime/log.ts";
import { runMain } from "../runtime/main.ts";
import { logUnsetClock } from "../runtime/unset-clock.ts";
import { readBoxConfig } from "./config.ts";
import { BoxPanel } from "./panel.ts";
import { pairNewSensor } from "./pairing.ts";
import { startBox } from "./start.ts";

/** A panel's greeting takes up to six seconds. */
const panelMs = 8000;

/** `shardkeep agent`: the box with its sensor and panel in the firmware-bridge process. */
await runMain("agent", async (args, onStop, service) => {
  const config = readBoxConfig(args);
  const log = stdoutLog(config.box);
  logUnsetClock(log, systemClock);
  await startBox(config, log, async (records) => {
    const bridge: BridgeProcess = new BridgeProcess({
      config: { sensor: { ...config.sensor, stateFile: join(config.state, "sensor.json") }, panel: config.panel && { path: config.panel.path, allowEmulated: config.panel.allowEmulated } },
      lockFile: join(config.state, "sensor.lock"),
      log,
      onSensor: (status) => {
        log.info("sensor", { state: status.state, emulated: status.emulated });
        void pairNewSensor({ bridge, records, log, box: config.box }, status);
      },
      onPanel: (status) => { panel?.heard(status); },
    });
    const panel = config.panel === null ? undefined : new BoxPanel(bridge, systemClock, log, config.panel.unwatched);
    onStop(() => bridge.stop());
    await bridge.start();
    // Nothing is served before it is known whether the case was opened meanwhile; a panel that is not there holds nobody up for long.
    await panel?.firstWord(panelMs);
    return { bridge, ...(panel === undefined ? {} : { panel }) };
  }, onStop, undefined, service);
});

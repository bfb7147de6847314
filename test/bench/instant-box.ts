import { readBoxConfig } from "../../agent/box/config.ts";
import { startBox } from "../../agent/box/start.ts";
import { stdoutLog } from "../../agent/runtime/log.ts";
import { runMain } from "../../agent/runtime/main.ts";
import { instantSensor } from "../support/instant-sensor.ts";

/**
 * A box whose sensor answers at once: the finger's and the sensor's time are taken out of the bench, and
 * nothing else. For measuring only; it is no part of the package.
 */
await runMain("bench box", async (args, onStop) => {
  const config = readBoxConfig(args);
  await startBox(config, stdoutLog(config.box), () => Promise.resolve({ bridge: instantSensor }), onStop);
});

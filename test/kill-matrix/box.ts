import { readBoxConfig } from "../../agent/box/config.ts";
import { startBox } from "../../agent/box/start.ts";
import { stdoutLog } from "../../agent/runtime/log.ts";
import { configArgument, runMain } from "../../agent/runtime/main.ts";
import { instantSensor } from "../support/instant-sensor.ts";
import { inspect } from "./inspect.ts";
import { watched } from "./watched.ts";

/**
 * A box that ends itself where the matrix tells it to, whose sensor answers at once, and which on SIGUSR2 says
 * what it really holds; all else is the real one.
 */
await runMain("box of the matrix", async (args, onStop) => {
  const config = readBoxConfig(args);
  await startBox(config, stdoutLog(config.box), () => Promise.resolve({ bridge: instantSensor }), onStop, (real) => {
    process.on("SIGUSR2", () => void inspect(real, config).then((found) => { process.stdout.write(`inspected ${JSON.stringify(found)}\n`); }));
    return watched(real, configArgument(args));
  });
});

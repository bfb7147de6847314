import { readCoordinatorConfig } from "../../agent/coordinator/config.ts";
import { startCoordinator } from "../../agent/coordinator/start.ts";
import { stdoutLog } from "../../agent/runtime/log.ts";
import { configArgument, runMain } from "../../agent/runtime/main.ts";
import { watched } from "./watched.ts";

/** A coordinator that ends itself where the matrix tells it to; all else is the real one. */
await runMain("coordinator of the matrix", async (args, onStop) => {
  const config = readCoordinatorConfig(args);
  await startCoordinator(config, stdoutLog(config.coordinator), onStop, (real) => watched(real, configArgument(args)));
});

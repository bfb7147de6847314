import { stdoutLog } from "../runtime/log.ts";
import { runMain } from "../runtime/main.ts";
import { readCoordinatorConfig } from "./config.ts";
import { startCoordinator } from "./start.ts";

/** `shardkeep coordinator`: the attestation service. */
await runMain("coordinator", async (args, onStop, service) => {
  const config = readCoordinatorConfig(args);
  await startCoordinator(config, stdoutLog(config.coordinator), onStop, undefined, service);
});

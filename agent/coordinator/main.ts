import { systemClock } from "../runtime/clock.ts";
import { stdoutLog } from "../runtime/log.ts";
import { runMain } from "../runtime/main.ts";
import { logUnsetClock } from "../runtime/unset-clock.ts";
import { readCoordinatorConfig } from "./config.ts";
import { startCoordinator } from "./start.ts";

/** `shardkeep coordinator`: the attestation service. */
await runMain("coordinator", async (args, onStop, service) => {
  const config = readCoordinatorConfig(args);
  const log = stdoutLog(config.coordinator);
  logUnsetClock(log, systemClock);
  await startCoordinator(config, log, onStop, undefined, service);
});

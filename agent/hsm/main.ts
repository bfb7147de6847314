import { chdir } from "node:process";
import { systemClock } from "../runtime/clock.ts";
import { exitWithParent, serveParent, tellParent } from "../runtime/ipc.ts";
import { hsmCalls } from "./calls.ts";
import { hsmConfig } from "./config.ts";
import { hsmService } from "./service.ts";

exitWithParent();
// Node's own answer to SIGUSR1 is to open its inspector to whoever connects.
process.on("SIGUSR1", () => undefined);
// YubiHSM's module prefers a configuration in the working directory to the one that is named (hardware/pkcs11.md §2.1).
chdir("/");

const service = hsmService(hsmConfig.parse(JSON.parse(process.argv[2] ?? "{}")), systemClock);
process.on("exit", () => { service.close(); });
serveParent(hsmCalls, service.handlers);
tellParent("ready");

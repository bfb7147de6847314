import { systemClock } from "../../agent/runtime/clock.ts";
import type { Installation } from "../machine/installation.ts";
import { isRunning } from "../machine/lock.ts";
import { brokerChecks } from "./broker.ts";
import { examine, type Check, type Finding } from "./check.ts";
import { deviceChecks } from "./devices.ts";
import { hsmChecks } from "./hsm.ts";
import { machineChecks } from "./machine.ts";
import { storeCheck } from "./store.ts";
import { certificateCheck } from "./tls.ts";

/** Whose certificates lie in the state folder: a coordinator has its embedded broker's too. */
const certified = (of: Installation): string[] => (of.kind === "coordinator" && "listen" in of.config.broker ? [of.name, "broker"] : [of.name]);

function checksOf(of: Installation): Check[] {
  const running = isRunning(of.hsm);
  return [
    ...hsmChecks(of.hsm, of.name, running),
    storeCheck(of.state, of.site, running),
    ...certified(of).map((name) => certificateCheck(of.state, name)),
    ...(of.kind === "box" ? deviceChecks(of.config, running) : []),
    ...brokerChecks(of, running),
  ];
}

/** Everything that can be known of this machine, and of what `of` sets up on it. Changes nothing. */
export function diagnose(of: Installation | undefined): Promise<Finding[]> {
  return examine([...machineChecks(of?.state), ...(of === undefined ? [] : checksOf(of))], systemClock);
}

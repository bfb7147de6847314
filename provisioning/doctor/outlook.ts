import { systemClock } from "../../agent/runtime/clock.ts";
import { readInstallation } from "../machine/installation.ts";
import { isRunning } from "../machine/lock.ts";
import { tryListen } from "./broker.ts";
import { examine, type Check } from "./check.ts";
import { lineChecks } from "./devices.ts";

/** What agent or coordinator would find here once it is started. */
export interface Outlook {
  readonly step: string;
  readonly state: "ok" | "failed";
  readonly [field: string]: unknown;
}

function checksOf(file: string): readonly Check[] {
  const of = readInstallation(file);
  const running = isRunning(of.hsm);
  if (of.kind === "box") return lineChecks(of.config, running);
  const { broker, join } = of.config;
  const ports = [...("listen" in broker ? [{ name: "broker port", ...broker.listen }] : []), ...(join === undefined ? [] : [{ name: "join port", ...join.listen }])];
  return running ? [] : ports.map(({ name, host, port }) => ({ name, run: () => tryListen(host, port) }));
}

/** A look without a trace: no line is opened, no token asked. Throws CONFIG_INVALID, CONFIG_UNREADABLE. */
export async function outlook(file: string): Promise<Outlook[]> {
  return (await examine(checksOf(file), systemClock)).map(({ check, state, detail, code, remedy }) =>
    (state === "failed" ? { step: check, state, code, message: detail, remedy } : { step: check, state: "ok", found: detail }));
}

import { parseArgs } from "node:util";
import { dirname, isAbsolute, resolve } from "node:path";
import { exitCodes } from "./config.ts";
import { isNamed, ShardkeepError } from "./errors.ts";
import { serviceOf, type Service } from "./notify.ts";

/** Errors with which a restart is useless: systemd does not try again (RestartPreventExitStatus=78). */
const configCodes = new Set([
  "CONFIG_INVALID", "CONFIG_UNREADABLE", "CONFIG_MISSING", "NOT_JOINED", "EMULATED_REFUSED", "BROKER_URL_INVALID", "TLS_INVALID", "TLS_FILES_MISSING",
  "PIN_REFUSED", "PIN_UNREADABLE", "PIN_EXPOSED", "HSM_CONFIG_INVALID", "TOKEN_AMBIGUOUS",
]);

export function exitCodeOf(error: unknown): number {
  if (!(isNamed(error))) return exitCodes.internal;
  if (configCodes.has(error.code)) return exitCodes.config;
  return error.retryable ? exitCodes.temporary : exitCodes.failed;
}

/** The path after `--config`, absolute. */
export function configArgument(args: readonly string[]): string {
  const { values } = parseArgs({ args: [...args], options: { config: { type: "string" } }, strict: false });
  if (typeof values.config !== "string") throw new ShardkeepError("CONFIG_MISSING", "no configuration file was named", { remedy: "add --config FILE" });
  return resolve(values.config);
}

/** Whether a program is asked to say what it would do, and to change nothing. */
export const isDryRun = (args: readonly string[]): boolean => args.includes("--dry-run");

/** Paths in a configuration file are relative to the file. */
export function besideConfig(configFile: string): (path: string) => string {
  return (path) => (isAbsolute(path) ? path : resolve(dirname(configFile), path));
}

type Stop = () => Promise<unknown> | undefined;
/** Says what is to be undone at the end; last first. */
export type OnStop = (stop: Stop) => void;

/**
 * Runs a long-lived process: prints errors with their code and remedy, and on SIGTERM or SIGINT undoes
 * what was started, last first. A second signal does not wait. `service` is whoever started it, if it is one that listens.
 */
export async function runMain(name: string, body: (args: readonly string[], onStop: OnStop, service: Service) => Promise<void>): Promise<void> {
  const stops: Stop[] = [];
  const service = serviceOf(process.env, process.pid);
  const end = { begun: false };
  const stop = async (code: number, why?: string): Promise<void> => {
    if (end.begun) process.exit(code);
    end.begun = true;
    const told = service.stopping(why);
    for (const undo of stops.reverse()) {
      try {
        await undo();
      } catch (error) {
        process.stderr.write(`${name}: while stopping: ${String(error)}\n`);
      }
    }
    await told;
    process.exit(code);
  };
  process.on("SIGTERM", () => void stop(exitCodes.ok));
  process.on("SIGINT", () => void stop(exitCodes.ok));
  try {
    await body(process.argv.slice(2), (undo) => stops.push(undo), service);
  } catch (error) {
    // Whoever still waited, for a broker say, is told so by what is being undone.
    if (end.begun) return;
    process.stderr.write(`${name}: ${String(error)}\n`);
    await stop(exitCodeOf(error), String(error));
  }
}

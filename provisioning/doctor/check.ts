import type { Clock } from "../../agent/runtime/clock.ts";
import { ShardkeepError, isNamed } from "../../agent/runtime/errors.ts";

/** What a check found. `skipped` says in `detail` why it was not looked at. */
export interface Finding {
  readonly check: string;
  readonly state: "ok" | "warn" | "failed" | "skipped";
  readonly detail: string;
  readonly code?: string;
  readonly remedy?: string;
}

/** One thing to look at: gives what it found in order, or throws what is wrong. */
export interface Check {
  readonly name: string;
  /** Default 5000. */
  readonly deadlineMs?: number;
  /** `signal` aborts when nobody waits any more. */
  readonly run: (signal: AbortSignal) => string | Promise<string>;
}

/** Wrong, but what is set up works with it: `warn`. */
export class Concern extends ShardkeepError<"ARCHITECTURE_UNTRIED" | "CLOCK_UNSET" | "CLOCK_BEHIND" | "DISK_LOW" | "MODEM_MANAGER" | "PIN_LAST_TRY" | "CERTIFICATE_EXPIRES" | "SENSOR_UNPAIRED"> {}
/** What this machine cannot work with: `failed`. */
export class Fault extends ShardkeepError<"NODE_TOO_OLD" | "DISK_FULL" | "DISK_UNWRITABLE" | "PIN_EXPOSED" | "PIN_LOCKED" | "SERIAL_BUSY" | "SERIAL_DENIED" | "CERTIFICATE_EXPIRED"> {}
/** Not looked at now. */
export class Skipped extends Error {}

const defaultDeadlineMs = 5000;

function findingOf(check: string, error: unknown): Finding {
  if (error instanceof Skipped) return { check, state: "skipped", detail: error.message };
  const { code, remedy } = isNamed(error) ? error : { code: "INTERNAL", remedy: "report it" };
  const detail = error instanceof Error ? error.message : String(error);
  return { check, state: error instanceof Concern ? "warn" : "failed", detail, code, ...(remedy === undefined ? {} : { remedy }) };
}

async function finding({ name, deadlineMs = defaultDeadlineMs, run }: Check, clock: Clock): Promise<Finding> {
  const stop = new AbortController();
  const late = new Promise<never>((_, reject) => {
    const cancel = clock.after(deadlineMs, () => {
      reject(new ShardkeepError("CHECK_TIMEOUT", `no answer within ${deadlineMs} ms`, { remedy: "run it again; if it repeats, what it looks at hangs", retryable: true }));
      stop.abort();
    });
    stop.signal.addEventListener("abort", cancel);
  });
  try {
    return { check: name, state: "ok", detail: await Promise.race([Promise.resolve(stop.signal).then(run), late]) };
  } catch (error) {
    return findingOf(name, error);
  } finally {
    stop.abort();
  }
}

/** An error that came as text, `CODE: what happened` with or without `next: remedy`. */
export function saidError(said: string, fallbackCode: string, fallbackRemedy: string): ShardkeepError {
  const [, code = fallbackCode, text = said, remedy = fallbackRemedy] = /^([A-Z][A-Z_]+): ([^]*?)(?:\n {2}next: ([^]*))?$/.exec(said) ?? [];
  return new ShardkeepError(code, text, { remedy });
}

/** All at once, each with its deadline; in the order of the checks. */
export function examine(checks: readonly Check[], clock: Clock): Promise<Finding[]> {
  return Promise.all(checks.map((check) => finding(check, clock)));
}

export const isHealthy = (findings: readonly Finding[]): boolean => findings.every(({ state }) => state !== "failed");

/** As people read them: `ok` in a line, the others with what to do. */
export function findingLines(findings: readonly Finding[]): string[] {
  const width = Math.max(...findings.map(({ check }) => check.length));
  return findings.flatMap(({ check, state, detail, code, remedy }) => [
    `${state.padEnd(7)}  ${check.padEnd(width)}  ${code === undefined ? "" : `${code}: `}${detail}`,
    ...(remedy === undefined ? [] : [`${" ".repeat(11 + width)}next: ${remedy}`]),
  ]);
}

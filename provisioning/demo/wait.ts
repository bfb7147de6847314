import { setTimeout as sleep } from "node:timers/promises";
import { hasCode } from "../../agent/runtime/errors.ts";
import { DemoError } from "./process.ts";

/** Asks until it is so; names what it waited for when it is not. A question without an answer is asked again. */
export async function waitUntil(what: string, mostMs: number, isSo: () => Promise<boolean>, everyMs = 100): Promise<void> {
  const end = performance.now() + mostMs;
  while (!await isSo().catch((error: unknown) => { if (hasCode(error, "NO_ANSWER")) return false; throw error; })) {
    if (performance.now() > end) throw new DemoError("DEMO_STEP_TIMEOUT", `${what}: not within ${mostMs / 1000} s`);
    await sleep(everyMs);
  }
}

import { operationError } from "./failures.ts";
import type { CoordinatorParts } from "./parts.ts";

/** Before any verdict about a box our own HSM passes a known-answer test (protocol.md §3). Rejects with COORDINATOR_HSM_FAULT. */
export async function requireSoundHsm({ hsm, log }: CoordinatorParts): Promise<void> {
  try {
    await hsm.selfTest();
  } catch (cause) {
    log.error("own HSM fails its self-test", { error: String(cause) });
    throw operationError("COORDINATOR_HSM_FAULT");
  }
}

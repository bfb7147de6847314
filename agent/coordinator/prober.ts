import { probeMessage } from "../protocol/heartbeat.ts";
import { boxRequests } from "../protocol/messages.ts";
import { bytesOf, toBase64url } from "../runtime/encoding.ts";
import { requireSoundHsm } from "./own-hsm.ts";
import type { CoordinatorParts } from "./parts.ts";

/** `undecided`: it did answer, and it is our own HSM that cannot tell. */
export type ProbeOutcome = "passed" | "failed" | "wrong" | "undecided";

/** Asks a silent box for work, not for a word (design §11). Never rejects. */
export async function probe(parts: CoordinatorParts, box: string): Promise<ProbeOutcome> {
  const { config, exchange, hsm, log, random } = parts;
  const nonce = toBase64url(random.bytes(16));
  let outcome: ProbeOutcome = "failed";
  try {
    const { mac, verified } = await exchange.request(boxRequests, "probe", box, { nonce }, { deadlineMs: config.probeMs });
    outcome = "undecided";
    if (!await hsm.verifyMac({ box, message: probeMessage(config.site, nonce, box), mac: bytesOf(mac) })) {
      await requireSoundHsm(parts);
      return "wrong";
    }
    return verified?.ok === false ? "failed" : "passed";
  } catch (error) {
    log.warn("probe", { box, outcome, error: String(error) });
    return outcome;
  }
}

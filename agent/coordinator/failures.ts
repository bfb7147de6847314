import { ShardkeepError } from "../runtime/errors.ts";

interface Text {
  readonly message: string;
  readonly remedy: string;
  readonly retryable?: boolean;
}

/** How an operation can end, in words that a caller can act on (design §9). */
const texts: Readonly<Record<string, Text>> = {
  INVALID_BIOMETRICS: { message: "the fingers that touched are not those of people who may approve", remedy: "try again with an enrolled finger; `shardkeep person list` says who is enrolled where" },
  NOT_PERMITTED: { message: "policy does not allow this", remedy: "`shardkeep site show` lists the rules" },
  HSM_COMPROMISED: { message: "an HSM answered its challenge wrongly: its box is in quarantine and nothing was released", remedy: "`shardkeep status` names the box; find out who had it" },
  NOT_ENOUGH_HOLDERS: { message: "fewer holders than the threshold can serve", remedy: "`shardkeep status` shows which boxes are silent", retryable: true },
  TIMED_OUT: { message: "the time for this operation is over", remedy: "ask again when the people are at the sensors", retryable: true },
  CANCELLED: { message: "the requester took the request back", remedy: "ask again", retryable: true },
  KEY_CHECK_FAILED: { message: "the shards do not give the key that the record names; nobody can be accused with so few", remedy: "bring back a further holder and ask again", retryable: true },
  NO_SENSOR: { message: "no live box has a sensor with a finger that may approve", remedy: "`shardkeep status` shows the sensors, `shardkeep person list` the fingers", retryable: true },
  COORDINATOR_HSM_FAULT: { message: "the coordinator's own HSM fails its self-test: no verdict about anybody", remedy: "restart the coordinator; `shardkeep doctor` when it comes", retryable: true },
  PAYLOAD_MISMATCH: { message: "the payload is not the one that the request commits to", remedy: "ask again" },
};

export class OperationError extends ShardkeepError {}

/** The error for an ending; `detail` says what exactly, where more is known than the name. */
export function operationError(code: string, detail?: string): OperationError {
  const text = texts[code];
  return new OperationError(code, detail ?? text?.message ?? "the operation failed", {
    ...(text?.remedy === undefined ? {} : { remedy: text.remedy }),
    ...(text?.retryable === undefined ? {} : { retryable: text.retryable }),
  });
}

const unconfirmed: Readonly<Record<string, string>> = {
  "no-button": "the rule asks for the button of the box, and the panel of the box that was touched is not there",
  "not-confirmed": "the rule asks for the button of the box, and it was not pressed",
};

/** What exactly policy missed, where it was the button: by the last touch that was refused. */
export function refusedInWords(code: string | null, reasons: readonly string[]): string | undefined {
  return code === "NOT_PERMITTED" ? unconfirmed[reasons.at(-1) ?? ""] : undefined;
}

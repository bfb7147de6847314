import pkcs11js from "pkcs11js";
import { ShardkeepError } from "../runtime/errors.ts";

export type HsmErrorCode =
  | "HSM_CONFIG_INVALID" | "TOKEN_MISSING" | "TOKEN_AMBIGUOUS" | "TOKEN_EXISTS" | "PIN_UNREADABLE" | "PIN_EXPOSED" | "PIN_REFUSED"
  | "HSM_FAULT" | "HSM_LOGGED_OUT" | "HSM_TEMPLATE_REFUSED" | "HSM_INPUT_REFUSED" | "HSM_FULL" | "HSM_UNREACHABLE"
  | "HSM_BUSY" | "HSM_NOT_PERMITTED" | "HSM_UNSUPPORTED" | "HSM_SELF_TEST_FAILED"
  | "KEY_EXISTS" | "KEY_MISSING" | "KEY_AMBIGUOUS" | "KEY_NOT_DURABLE" | "KEY_NOT_DESTROYED"
  | "SHARD_DAMAGED" | "SHARE_DIGEST_MISMATCH" | "VAULT_DAMAGED" | "CHALLENGE_SECRET_INVALID"
  | "RECEIVING_EXISTS" | "RECEIVING_MISSING" | "RECEIVING_FULL" | "PIECE_EXISTS" | "PIECE_MISSING" | "PIECE_INVALID" | "CHECK_ALREADY_GIVEN"
  | "DEAL_ALREADY_GIVEN" | "DEALING_MISSING" | "DEALING_FULL" | "REVEAL_ALREADY_GIVEN" | "CHECK_MATCHES" | "DEALT_ALREADY" | "CHECK_MISSING";

export class HsmError extends ShardkeepError<HsmErrorCode> {}

/**
 * What to do about a CKR value (hardware/pkcs11.md §5):
 * `again` once in a new session; `reopen` the module (Finalize, Initialize, Login) and try once more;
 * `stop`: no further login by this process; `refuse`: the call fails and nothing else changes.
 */
interface Rule {
  readonly values: readonly number[];
  readonly action: "again" | "reopen" | "stop" | "refuse";
  readonly code: HsmErrorCode;
  readonly remedy: string;
  readonly retryable?: boolean;
  /** No new login for so long. */
  readonly waitMs?: number;
}

const rules: readonly Rule[] = [
  { values: [0x05, 0x06, 0x82], action: "reopen", code: "HSM_FAULT", remedy: "check that the token is there and its disk is neither full nor read-only; keys are never made anew by themselves" },
  { values: [0x07, 0x12, 0x13, 0xd0, 0xd1], action: "refuse", code: "HSM_TEMPLATE_REFUSED", remedy: "this module does not take the portable subset: report its name and version" },
  { values: [0x30], action: "refuse", code: "HSM_INPUT_REFUSED", remedy: "the HSM found the input malformed: nothing was done" },
  { values: [0x31], action: "refuse", code: "HSM_FULL", remedy: "free space on the HSM or drain its audit log" },
  { values: [0x32], action: "reopen", code: "HSM_UNREACHABLE", remedy: "check the HSM's cable and connector service", retryable: true },
  { values: [0x54, 0x70, 0x71], action: "refuse", code: "HSM_UNSUPPORTED", remedy: "this module lacks a function that is needed: hardware/pkcs11.md §2.6 lists them" },
  { values: [0x90], action: "again", code: "HSM_FAULT", remedy: "an operation was left open: report it" },
  { values: [0xa0, 0xa4], action: "stop", code: "PIN_REFUSED", remedy: "put the right PIN into the PIN file and restart; it is tried once, since some tokens lock at the third" },
  { values: [0xb0, 0xb3, 0x101, 0x190], action: "reopen", code: "HSM_LOGGED_OUT", remedy: "the HSM ends sessions again and again: check whether another program uses this token", retryable: true },
  { values: [0xb1], action: "refuse", code: "HSM_BUSY", remedy: "all sessions of the device are in use; they expire after 30 s", retryable: true, waitMs: 31_000 },
  { values: [0xe0], action: "reopen", code: "TOKEN_MISSING", remedy: "plug the HSM in, or start its connector service", retryable: true },
  { values: [0x200], action: "refuse", code: "HSM_NOT_PERMITTED", remedy: "give this authentication key the missing capability (hardware/pkcs11.md §2.3)" },
];
const unknown: Rule = { values: [], action: "refuse", code: "HSM_FAULT", remedy: "look the CKR value up in the module's documentation" };
const byValue = new Map(rules.flatMap((rule) => rule.values.map((value) => [value, rule] as const)));

export function ruleFor(value: number): Rule {
  return byValue.get(value) ?? unknown;
}

/** CKR_USER_ALREADY_LOGGED_IN, CKR_CRYPTOKI_ALREADY_INITIALIZED: what was asked for is so already. */
export const alreadyDone: ReadonlySet<number | undefined> = new Set([0x100, 0x191]);

/**
 * The CKR value that was thrown, undefined if it was something else. Most calls throw an error with a
 * code; C_CreateObject, C_SetAttributeValue and C_CopyObject a plain one whose text is "CKR_X:NN" (§1.3).
 */
export function ckrOf(error: unknown): number | undefined {
  if (error instanceof pkcs11js.Pkcs11Error && error.code !== 0) return error.code;
  const match = error instanceof Error ? /^CKR_\w+:(\d+)/.exec(error.message) : null;
  return match === null ? undefined : Number(match[1]);
}

/** The named error for a CKR value. `doing` says what was under way. */
export function hsmFault(value: number, doing: string, cause: unknown): HsmError {
  const { code, remedy, retryable = false } = ruleFor(value);
  return new HsmError(code, `${doing}: the HSM answered CKR 0x${value.toString(16).padStart(2, "0")}`, { cause, remedy, retryable });
}

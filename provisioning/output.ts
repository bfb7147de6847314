import { ShardkeepError, toWire } from "../agent/runtime/errors.ts";
import { exitCodes } from "../agent/runtime/config.ts";
import { exitCodeOf } from "../agent/runtime/main.ts";

/**
 * What a person or a script sees: results on stdout, everything else on stderr. With --json stdout is one document,
 * also for a failure.
 */
export class UsageError extends ShardkeepError<"USAGE"> {}

/** What ended a run of several steps, and what became of each. */
export class StepError extends ShardkeepError {
  readonly steps: readonly object[];

  constructor(code: string, message: string, steps: readonly object[], remedy?: string) {
    super(code, message, remedy === undefined ? {} : { remedy });
    this.steps = steps;
  }
}

const codesOf: Readonly<Record<number, readonly string[]>> = {
  [exitCodes.usage]: ["USAGE", "CONFIG_MISSING"],
  [exitCodes.data]: ["FILE_DAMAGED", "FILE_HEADER_INVALID", "FILE_WRONG_SITE", "CIPHERTEXT_INVALID", "REQUEST_INVALID", "ANSWER_INVALID", "ANSWER_FOREIGN", "PAYLOAD_TOO_LONG", "BACKUP_DAMAGED", "BACKUP_FOREIGN", "ANSWERS_INVALID", "ANSWERS_DIFFER",
    "CODE_INVALID", "RECOVERY_CARD_MISTYPED", "RECOVERY_CARD_FOREIGN", "RECOVERY_CARD_REPEATED", "RECOVERY_CARDS_MISSING", "RECOVERY_CARDS_WRONG"],
  [exitCodes.unavailable]: ["BROKER_UNREACHABLE", "BROKER_REFUSED", "CERTIFICATE_REFUSED", "NO_ANSWER", "NOT_ENOUGH_HOLDERS", "NO_SENSOR", "RESHARD_HELD", "NOBODY_ANSWERS"],
  [exitCodes.refused]: [
    "NOT_PERMITTED", "INVALID_BIOMETRICS", "HSM_COMPROMISED", "RATE_LIMITED", "QUARANTINED", "RECORD_SEALED", "RECORD_NOT_APPROVED", "NOT_SEALED", "RECORD_FORGED",
    "RECORD_NOT_RECOVERABLE", "RECORD_RECOVERY_FORGED", "RECORD_RECOVERY_TOO_WIDE", "RECORD_RECOVERY_PENDING",
    "REQUEST_CHANGED", "ENCLAVE_CHANGED", "RESULT_INVALID", "AUTHORITY_WRONG", "TOKEN_FOREIGN", "STATE_FOREIGN", "KEYS_FOREIGN", "NAME_TAKEN", "JOIN_REFUSED",
  ],
};
const exitOf = new Map(Object.entries(codesOf).flatMap(([exit, codes]) => codes.map((code) => [code, Number(exit)] as const)));

/** sysexits(3) for an error: docs/configuration.md lists them. */
export function exitCodeFor(error: unknown): number {
  const known = error instanceof ShardkeepError ? exitOf.get(String(error.code)) : undefined;
  return known ?? exitCodeOf(error);
}

/** Text from elsewhere on a terminal: control characters could rewrite what stands there. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, "�");
}

/** A line for people, on stderr. */
export function note(text: string): void {
  process.stderr.write(`${printable(text)}\n`);
}

/** The command's result. */
export function result(json: boolean, value: unknown, lines: readonly string[]): void {
  process.stdout.write(json ? `${JSON.stringify(value)}\n` : lines.map((line) => `${printable(line)}\n`).join(""));
}

/** `CODE: message` and what to do next; the cause only of what nobody expected. */
export function reportFailure(json: boolean, error: unknown): void {
  if (json) process.stdout.write(`${JSON.stringify({ error: toWire(error), ...(error instanceof StepError ? { steps: error.steps } : {}) })}\n`);
  if (error instanceof ShardkeepError) {
    for (const line of error.toString().split("\n")) note(line);
  } else {
    process.stderr.write(`INTERNAL: ${error instanceof Error ? error.stack ?? error.message : String(error)}\n`);
  }
}

/** Rows as aligned columns. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string[] {
  const all = [head, ...rows.map((row) => row.map(String))];
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
  return all.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd());
}

import type { KeyRecord } from "../protocol/key-record.ts";
import type { ApprovalFields, ReshardParameters } from "../protocol/request.ts";
import { ResultError } from "../protocol/result.ts";
import { generateRecipient } from "../protocol/seal.ts";
import { wipe } from "../runtime/secrets.ts";
import { Following, suspicious, type UseOptions } from "./following.ts";
import { prepare, type ApprovalAsk, type UseParts } from "./use.ts";

/** A re-shard that people approve: other numbers or other holders for the same key. */
export interface ReshardAsk {
  readonly key: string;
  /** 1 to 200 characters, shown to the people who approve. */
  readonly reason: string;
  /** What is absent stays as it is. */
  readonly wanted: ReshardParameters;
}

export interface Resharded {
  /** The key's record in force. */
  readonly record: KeyRecord;
  /** Everything that was approved. */
  readonly fields: ApprovalFields;
  readonly code: string;
}

/**
 * Asks for it and follows it to its end, as {@link runUse} does. There is no payload and no result: what comes back is
 * public, and must be of the plan that was approved and as it was asked for. Rejects with RESHARD_HELD, RESHARD_FAILED.
 */
export function runReshard(parts: UseParts, { key, reason, wanted }: ReshardAsk, options: UseOptions = {}): Promise<Resharded> {
  return runApproval(parts, { key, reason, operation: "reshard", reshard: wanted }, (record, fields) => isAsked(record, fields, key, wanted), options);
}

/** What people approve and no enclave carries out. The record that comes back must satisfy `isRight`. */
export async function runApproval(
  parts: UseParts, ask: Omit<ApprovalAsk, "resource" | "payload">, isRight: (record: KeyRecord, fields: ApprovalFields) => boolean, options: UseOptions,
): Promise<Resharded> {
  const nobody = generateRecipient();
  const { use, salted } = await prepare(parts, { ...ask, resource: ask.key, payload: new Uint8Array() }, nobody.publicKey);
  try {
    const { fields, code, answer } = await new Following(parts, { use, ask: (asked) => parts.request("use", { use }, asked) }, options).answer();
    if ("enclave" in fields || !("record" in answer) || !isRight(answer.record, fields)) {
      throw new ResultError("RESULT_INVALID", "the answer is no record of what was asked and approved", { remedy: suspicious });
    }
    return { record: answer.record, fields, code };
  } finally {
    nobody.destroy();
    wipe(salted);
  }
}

function isAsked(record: KeyRecord, fields: ApprovalFields, key: string, { threshold, size, margin, holders }: ReshardParameters): boolean {
  const held = new Set(record.holders.map(({ box }) => box));
  return record.plan === fields.record && record.key === key && record.epoch === fields.epoch && record.attempt === fields.attempt
    && (threshold ?? record.threshold) === record.threshold && (size ?? record.size) === record.size && (margin ?? record.margin) === record.margin
    && (holders === undefined || (holders.length === held.size && holders.every((box) => held.has(box))));
}

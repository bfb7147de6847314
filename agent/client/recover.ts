import type { KeyRecord } from "../protocol/key-record.ts";
import type { ApprovalFields } from "../protocol/request.ts";
import { runApproval, type Resharded } from "./reshard.ts";
import type { UseOptions } from "./following.ts";
import type { UseParts } from "./use.ts";

/** An attempt that can not end: people say which boxes are gone, all others answer once and for ever. */
export interface RecoverAsk {
  readonly key: string;
  /** 1 to 200 characters, shown to the people who approve. */
  readonly reason: string;
  /** Boxes that take part in the attempt and will never answer. */
  readonly gone: readonly string[];
}

export interface Recovered extends Resharded {
  /** Whether the new shards came into force; else the old ones are the key's again. */
  readonly isForward: boolean;
}

/** Asks for it and follows it to its end, as {@link runReshard} does. Rejects with RECOVER_HELD. */
export async function runRecover(parts: UseParts, { key, reason, gone }: RecoverAsk, options: UseOptions = {}): Promise<Recovered> {
  const ended = await runApproval(parts, { key, reason, operation: "recover", recover: { gone: [...gone] } }, (record, fields) => record.key === key && (isMade(record, fields) || record.epoch < fields.epoch), options);
  return { ...ended, isForward: isMade(ended.record, ended.fields) };
}

function isMade(record: KeyRecord, fields: ApprovalFields): boolean {
  return record.plan === fields.record && record.epoch === fields.epoch && record.attempt === fields.attempt;
}

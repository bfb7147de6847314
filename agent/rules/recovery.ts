import { verifyEs256 } from "../protocol/es256.ts";
import { isOfRecord } from "../protocol/request.ts";
import { recordHashOf, recoveryMessage, type Rule, type SiteRecord, type SiteRecordBody } from "../protocol/site-record.ts";
import { statementHash } from "../protocol/statement.ts";
import { checkContent, checkPlace, RecordError } from "./record.ts";

/** A version under the recovery key that waits for its delay to be over. */
export interface Awaited {
  readonly version: number;
  readonly hash: string;
  /** Own running time of whoever waits, in all. */
  readonly delayMs: number;
}

/** Who may recover a site. Throws RECORD_NOT_RECOVERABLE. */
export function recoveryKeyOf({ sealed, recovery }: SiteRecordBody): string {
  if (!sealed || recovery === undefined) {
    throw new RecordError("RECORD_NOT_RECOVERABLE", sealed ? "the site record names no recovery key" : "the site record is unsealed: an administrator's word changes it", { remedy: "`shardkeep site show` says which there is" });
  }
  return recovery.key;
}

const isOfRecordOnly = (rule: Rule): boolean => rule.operations.every(isOfRecord);

/**
 * Whether the recovery key of `current` may make `body` of it (docs/decisions/0009): people, roles and clients may be
 * others, and the rules by which the record itself changes. Boxes, seal, authority, what keys are used by, and the recovery
 * key with its delay stay as they are. Throws {@link RecordError}.
 */
export function judgeRecovery(current: SiteRecord, body: SiteRecordBody, recovery: string): void {
  if (!verifyEs256(recoveryKeyOf(current.body), recoveryMessage(current.site, statementHash(current), recordHashOf(current, body)), recovery)) {
    throw new RecordError("RECORD_RECOVERY_FORGED", `version ${body.version} of the site record is not signed by the recovery key`);
  }
  const rest = (one: SiteRecordBody): string => recordHashOf(current, {
    ...one, noZoneHoldsThreshold: one.noZoneHoldsThreshold === true, version: body.version, previous: body.previous, people: [], roles: [], clients: [], rules: one.rules.filter((rule) => !isOfRecordOnly(rule)),
  });
  if (rest(body) !== rest(current.body)) {
    throw new RecordError("RECORD_RECOVERY_TOO_WIDE", "the recovery key changes only people, roles, clients and the rules of the record itself", { remedy: "first get administrators back; the rest they change under rule `record`" });
  }
}

/** The same before anybody has signed `body` but the recovery key. Throws {@link RecordError}. */
export function judgeRecoveryAsked(current: SiteRecord, body: SiteRecordBody, recovery: string): void {
  checkPlace(current, body);
  checkContent(current, body);
  judgeRecovery(current, body, recovery);
}

/** Whether this very version waits already. Throws RECORD_RECOVERY_PENDING if another one does: else a thief could begin the others' delay anew for ever. */
export function isAwaited(pending: SiteRecord | undefined, hash: string): boolean {
  if (pending === undefined) return false;
  if (statementHash(pending) === hash) return true;
  throw new RecordError("RECORD_RECOVERY_PENDING", `another version ${pending.body.version} under the recovery key waits already`, { remedy: "wait until it is in force, or have it vetoed under rule `record`: `shardkeep site recovery --none`" });
}

export function awaitedOf(current: SiteRecord, pending: SiteRecord | undefined): Awaited | undefined {
  const { recovery } = current.body;
  return pending === undefined || recovery === undefined ? undefined : { version: pending.body.version, hash: statementHash(pending), delayMs: recovery.delayMs };
}

/**
 * Whether so many boxes have it in force that a coordinator whose own delay is not over goes with them. Fewer could be
 * rooted ones, which would cut the delay short in which people can veto.
 */
export function isOvertaken(there: number, boxes: number): boolean {
  return 2 * there > boxes;
}

import { recordTarget, type AnyFields } from "../protocol/request.ts";
import { recordHashOf, type Operation, type SiteRecord, type SiteRecordBody } from "../protocol/site-record.ts";
import { statementHash, verifyStatement } from "../protocol/statement.ts";
import { judgeAsked, requireAttested, requireRecord } from "./judge.ts";
import { ruleFor } from "./policy.ts";
import { checkContent, checkPlace, RecordError } from "./record.ts";
import { isReadmission } from "./record-edits.ts";
import { judgeRecovery } from "./recovery.ts";

/** Whether this box was in quarantine while `version` was in force; what came later says nothing of an approval from then. */
export type QuarantinedAt = (box: string, version: number) => boolean;

/**
 * Whether `next` may follow `current` (protocol.md §2). While `current` is unsealed the authority's signature is enough;
 * from then on `next` carries the evidence of people of `current`, under rule `record` of `current` (where it only lifts
 * a quarantine rule `readmit` will do), for exactly this step, or the recovery key's signature: then it may follow, but
 * only when its delay is over, which is the caller's to count. Nothing in it ages: a box that was away for months judges it as those did that were there. Throws
 * RecordError or Refusal; nothing is changed.
 */
export function judgeStep(current: SiteRecord, next: SiteRecord, isQuarantinedAt: QuarantinedAt): void {
  const { approval, recovery, body } = next;
  if (!verifyStatement(next, current.site, current.body.authority) || next.by !== current.by) {
    throw new RecordError("RECORD_FORGED", `version ${body.version} of the site record is not signed by the site authority`);
  }
  checkPlace(current, body);
  if (current.body.sealed && approval === undefined && recovery === undefined) {
    throw new RecordError("RECORD_SEALED", `a sealed site record changes only with the fingers that its rule \`record\` asks for, and version ${body.version} comes without`, { remedy: "`shardkeep site apply FILE` asks for them" });
  }
  checkContent(current, body);
  if (approval !== undefined && (recovery !== undefined || !current.body.sealed)) throw new RecordError("RECORD_INVALID", `version ${body.version} comes with an approval that it does not need`);
  if (recovery !== undefined) judgeRecovery(current, body, recovery);
  if (approval === undefined) return;
  const { fields, evidence } = approval;
  const { operation, commitment } = fields.use.body;
  requireRecord(fields, current);
  if (!isStep(operation, current, body) || commitment !== statementHash(next) || fields.record !== commitment) {
    throw new RecordError("RECORD_NOT_APPROVED", `what the people approved is not version ${body.version} of the site record`);
  }
  const judged = judgeAsked(fields, current);
  requireAttested(judged, evidence, { siteRecord: current, isQuarantined: (box) => isQuarantinedAt(box, current.body.version) });
}

/** Whether this is the operation that asks for this step; rule `readmit` can be a lighter one than `record`, and is for nothing else. */
function isStep(operation: Operation, current: SiteRecord, body: SiteRecordBody): boolean {
  return operation === "record" || (operation === "readmit" && isReadmission(current, body));
}

/** What to ask people for: the lighter rule for a readmission, where the site has one. */
export function operationFor(current: SiteRecord, body: SiteRecordBody): "record" | "readmit" {
  const { key, resource } = recordTarget;
  return isReadmission(current, body) && ruleFor(current.body, key, "readmit", resource) !== undefined ? "readmit" : "record";
}

/** Walks the chain step by step; the last of it, or `current` where it is empty. Throws at the first step that may not be. */
export function walkChain(current: SiteRecord, chain: readonly SiteRecord[], isQuarantinedAt: QuarantinedAt): SiteRecord {
  return chain.reduce((at, next) => {
    judgeStep(at, next, isQuarantinedAt);
    return next;
  }, current);
}

/** Whether what people are asked to approve is this very body, and may follow `current` at all. Throws {@link RecordError}. */
export function judgeProposal(current: SiteRecord, { use, record }: AnyFields, body: SiteRecordBody | undefined): SiteRecordBody {
  const { operation, commitment } = use.body;
  if (body === undefined || !isStep(operation, current, body) || commitment !== recordHashOf(current, body) || record !== commitment) {
    throw new RecordError("RECORD_NOT_APPROVED", "the version that comes with the request is not the one that it names");
  }
  checkPlace(current, body);
  checkContent(current, body);
  return body;
}

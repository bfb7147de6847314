import { batchHash, type ProvedUse, type ReshardPlan } from "../../protocol/reshard.ts";
import { isByEnclave } from "../../protocol/result.ts";
import type { SiteRecord } from "../../protocol/site-record.ts";
import { statementHash } from "../../protocol/statement.ts";
import { judgeAsked, requireAttested } from "../judge.ts";
import { Refusal } from "../refusal.ts";

/** With only t witnesses nothing ties the deals to the record: t points always fit (protocol.md §7). */
export function isUnproven({ body }: ReshardPlan): boolean {
  return body.witnesses.length === body.threshold;
}

/**
 * An unproven attempt comes into force only with PROVED (protocol.md §7). No nonce is looked at, for it is shown to a box
 * that was away as well: the digest binds the hash of the new record, which no earlier request can name. Nor is
 * quarantine: evidence that was good when it was given must not stop half of the boxes later. Throws NOT_PROVED, or what
 * is wrong with request or evidence.
 */
export function requireProved(plan: ReshardPlan, batch: string, proof: ProvedUse | null, siteRecord: SiteRecord): void {
  if (!isUnproven(plan)) return;
  const refuse = (why: string): Refusal => new Refusal("NOT_PROVED", why, { retryable: true });
  if (proof === null) throw refuse("with no witness more than the threshold only an attested operation proves the new shards");
  const { fields, evidence, result, sig } = proof;
  const isOfKey = plan.body.keys.some(({ key }) => key === fields.use.body.key);
  // One key, one record: the batch is the hash over just that.
  if (!isOfKey || batchHash(plan.site, statementHash(plan), [fields.record]) !== batch) throw refuse("the operation was not on these new shards");
  const judged = judgeAsked(fields, siteRecord);
  requireAttested(judged, evidence, { siteRecord, isQuarantined: () => false });
  if (!isByEnclave(plan.site, fields.enclave.sign, { digest: judged.digest, result }, sig)) throw refuse("the enclave of this request has signed no result");
}

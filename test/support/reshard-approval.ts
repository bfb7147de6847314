import type { Approval } from "../../agent/protocol/approval.ts";
import type { Evidence } from "../../agent/protocol/evidence.ts";
import { requestDigest, useBody as useBodySchema, type ApprovalFields, type ReshardParameters, type UseBody } from "../../agent/protocol/request.ts";
import type { ReshardPlan } from "../../agent/protocol/reshard.ts";
import { refOf, rule } from "../../agent/protocol/site-record.ts";
import { signStatement, statementHash } from "../../agent/protocol/statement.ts";
import { boot, filled, keys, useBody } from "../rules/support/site.ts";
import { site, type ReshardFleet } from "./reshard-fleet.ts";

const recover = { key: "payroll", operations: ["recover"], require: [{ role: "officer", people: 1 }] };
export const recoverRules = [rule.parse(recover)];
/** One officer approves a re-shard, once an hour. */
export const rules = [rule.parse({ key: "payroll", operations: ["reshard"], require: [{ role: "officer", people: 1 }], limit: "1/hour" })];
export const request = filled(16, 3);

/** The service's request for this plan, with a fresh nonce of every box. */
export async function fieldsFor(fleet: ReshardFleet, plan: ReshardPlan, reshard: ReshardParameters, change: Partial<ApprovalFields> = {}, use: Partial<UseBody> = {}): Promise<ApprovalFields> {
  const [{ epoch, attempt }] = plan.body.keys as [ReshardPlan["body"]["keys"][number]];
  return {
    use: await signStatement(keys["service"]!, "use", site, "service", useBodySchema.parse(JSON.parse(JSON.stringify({ ...useBody, request, operation: "reshard", resource: "payroll", reshard, ...use })))),
    epoch, attempt, record: statementHash(plan), coordinator: { id: "coordinator", boot }, siteRecord: refOf(fleet.record), deadlineMs: 60_000,
    nonces: [...fleet.boxes.values()].map(({ id, nonces }) => ({ box: id, nonce: nonces.issue() })), ...change,
  };
}

/** Bob's finger at box-2, or another's at another box. */
export const evidenceFor = (fleet: ReshardFleet, fields: ApprovalFields, person = "bob", box = "box-2"): Promise<Evidence> =>
  signStatement({ sign: (message) => fleet.box(box).hsm.sign("identity", message) }, "evidence", site, box, {
    digest: requestDigest(fields), boot, person, finger: "index", template: filled(32, person === "bob" ? 12 : 11), modality: "fingerprint" as const, class: "B" as const,
    score: 100, display: "none" as const, confirm: "none" as const, sensor: "device" as const,
  });

/** Who is gone, as the service asks and bob approves. */
export async function recovery(fleet: ReshardFleet, plan: ReshardPlan, gone: readonly string[], change: Partial<ApprovalFields> = {}, use: Partial<UseBody> = {}): Promise<Approval & { evidence: Evidence[] }> {
  const asked = { operation: "recover" as const, reshard: undefined, recover: { gone: [...gone] }, ...use };
  return await approve(fleet, await fieldsFor(fleet, plan, {}, change, asked));
}

export async function approve(fleet: ReshardFleet, fields: ApprovalFields): Promise<Approval & { evidence: Evidence[] }> {
  return { fields, evidence: [await evidenceFor(fleet, fields)] };
}

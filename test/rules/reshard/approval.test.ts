import t, { type Test } from "tap";
import { approvalFields, type ApprovalFields, type ReshardParameters, type UseBody } from "../../../agent/protocol/request.ts";
import type { ReshardPlan } from "../../../agent/protocol/reshard.ts";
import { statementHash } from "../../../agent/protocol/statement.ts";
import { judgeApproval, wantedNumbers } from "../../../agent/rules/reshard/approval.ts";
import { makeFields } from "../support/site.ts";
import { current, filled, makeCurrent, makePlan, members, planKeyOf, refresh } from "./support.ts";

const request = filled(16, 3);
/** What the people of these tests approve: 2 of 4 at named boxes. */
const wanted: ReshardParameters = { threshold: 2, size: 4, margin: 2, holders: ["box-1", "box-2", "box-6", "box-7"] };
const shape: Partial<ReshardPlan["body"]> = { nextThreshold: 2, size: 4, margin: 2, holders: members(1, 2, 6, 7), reason: "order", request };

const bodyOf = (reshard: ReshardParameters): Partial<UseBody> => ({ request, operation: "reshard", reshard });
async function approvalOf(plan: ReshardPlan, use: Partial<UseBody> = bodyOf(wanted), change: Partial<ApprovalFields> = {}): Promise<ApprovalFields> {
  const { enclave, ...fields } = await makeFields({ epoch: 5, attempt: 7, record: statementHash(plan), ...change }, use);
  t.ok(enclave);
  return approvalFields.parse(fields);
}
const takes = async (t: Test, what: string, change: Partial<ReshardPlan["body"]>, reshard: ReshardParameters = wanted, now: typeof current | null = current): Promise<void> => {
  const plan = await makePlan({ ...shape, ...change });
  const fields = await approvalOf(plan, bodyOf(reshard));
  t.doesNotThrow(() => { judgeApproval(plan, fields, now ?? undefined); }, what);
};
const refuses = async (t: Test, message: RegExp, change: Partial<ReshardPlan["body"]>, reshard: ReshardParameters = wanted, now: typeof current | null = current): Promise<void> => {
  const plan = await makePlan({ ...shape, ...change });
  const fields = await approvalOf(plan, bodyOf(reshard));
  t.throws(() => { judgeApproval(plan, fields, now ?? undefined); }, { code: "PLAN_REFUSED", message }, JSON.stringify([change, reshard]));
};

void t.test("what is not asked for stays; holders that are named are as many as they are", (t) => {
  const now = { threshold: 3, size: 5, margin: 1 };
  t.strictSame(wantedNumbers({}, now), now);
  t.strictSame(wantedNumbers({ threshold: 2, size: 4, margin: 2 }, now), { threshold: 2, size: 4, margin: 2 });
  t.strictSame(wantedNumbers({ holders: ["a", "b", "c"] }, now), { ...now, size: 3 });
  t.strictSame(wantedNumbers({ holders: ["a", "b", "c"], size: 6 }, now), { ...now, size: 6 });
  t.end();
});

void t.test("exactly this plan, of this request, for this key", async (t) => {
  await takes(t, "as approved", {});
  const plan = await makePlan(shape);
  const refused = async (message: RegExp, use?: Partial<UseBody>, change?: Partial<ApprovalFields>, of = plan): Promise<void> => {
    const fields = await approvalOf(of, use, change);
    t.throws(() => { judgeApproval(of, fields, current); }, { code: "PLAN_REFUSED", message }, JSON.stringify([use, change]));
  };
  await refused(/approved no re-shard/, { ...bodyOf(wanted), operation: "decrypt" });
  await refused(/approved no re-shard/, { request, operation: "reshard" });
  const other = /approved another plan/;
  await refused(other, bodyOf(wanted), { record: filled(32, 1) });
  await refused(other, bodyOf(wanted), { epoch: 4 });
  await refused(other, bodyOf(wanted), { attempt: 8 });
  await refused(other, { ...bodyOf(wanted), request: filled(16, 4) });
  await refused(other, { ...bodyOf(wanted), key: "other" });
  await refused(other, bodyOf(wanted), {}, await makePlan({ ...shape, request: null }));
  await refused(other, bodyOf(wanted), {}, await makePlan({ ...shape, reason: "lost" }));
  const [payroll] = refresh.keys as [typeof refresh.keys[number]];
  await refused(other, bodyOf(wanted), {}, await makePlan({ ...shape, keys: [payroll, { ...payroll, key: "other" }] }));
  await refused(other, bodyOf(wanted), {}, await makePlan({ ...shape, keys: [{ ...payroll, key: "other" }] }));
});

void t.test("the numbers that were asked for, and for the rest those that are", async (t) => {
  await refuses(t, /not for threshold 2, size 4 and margin 2/, { nextThreshold: 3 });
  await refuses(t, /not for threshold/, { size: 5 });
  await refuses(t, /not for threshold/, { margin: 1 });
  await refuses(t, /not for threshold 3, size 4 and margin 2/, {}, { ...wanted, threshold: undefined });
  await refuses(t, /not for threshold 2, size 4 and margin 1/, {}, { ...wanted, margin: undefined });
  await takes(t, "as many as are named", {}, { ...wanted, size: undefined });
  await takes(t, "a new holder knows no numbers but those that are named", {}, { holders: wanted.holders }, null);
  await refuses(t, /not for threshold 2/, { nextThreshold: 3 }, { threshold: 2 }, null);
});

void t.test("the boxes that are named, in any order; else nobody is exchanged, and nobody leaves who is not too many", async (t) => {
  await takes(t, "another order", { holders: members(7, 6, 2, 1) });
  await refuses(t, /approved the holders box-1, box-2, box-6, box-7/, { holders: members(1, 2, 6, 8) });
  await refuses(t, /approved the holders/, { holders: members(1, 2, 6) });
  await refuses(t, /approved the holders/, { holders: members(1, 2, 6, 8) }, wanted, null);
  await refuses(t, /approved the holders/, { size: 5, holders: members(1, 2, 6, 7, 8) }, { ...wanted, size: 5 });
  const four: ReshardParameters = { threshold: 2, size: 4, margin: 2 };
  await takes(t, "one leaves of five", { holders: members(1, 2, 3, 5) }, four);
  await refuses(t, /2 holders of payroll leave, whom the people have not named/, { holders: members(1, 2, 3) }, four);
  await refuses(t, /2 holders of payroll leave/, { holders: members(1, 2, 3, 6) }, four);
  const six: ReshardParameters = { threshold: 2, size: 6, margin: 2 };
  await takes(t, "one comes", { size: 6, holders: members(1, 2, 3, 4, 5, 6) }, six);
  await refuses(t, /1 holders of payroll leave/, { size: 6, holders: members(1, 2, 3, 4, 6, 7) }, six);
  const less = makeCurrent({ holders: current.holders.slice(0, 4) });
  await takes(t, "four of five stay four", { size: 5, holders: members(1, 2, 3, 4), keys: [planKeyOf(less)] }, { threshold: 2, margin: 2 }, less);
});

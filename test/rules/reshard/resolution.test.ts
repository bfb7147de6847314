import t, { type Test } from "tap";
import type { Evidence } from "../../../agent/protocol/evidence.ts";
import { approvalFields, requestDigest, type ApprovalFields, type UseBody } from "../../../agent/protocol/request.ts";
import type { BatchResolved, ReshardPlan } from "../../../agent/protocol/reshard.ts";
import { rule } from "../../../agent/protocol/site-record.ts";
import { signStatement, statementHash } from "../../../agent/protocol/statement.ts";
import { isBuried } from "../../../agent/rules/reshard/certificates.ts";
import { askedOf, goneOf, isAllOld, isSameGone, isTwoSettled, isWorthAsking, judgeRecovery } from "../../../agent/rules/reshard/resolution.ts";
import { makeEvidence, makeFields } from "../support/site.ts";
import { filled, keys, makeCurrent, makePlan, makeResolved, member, members, planKeyOf, record as siteRecord, refresh } from "./support.ts";

/** 3 of 5: box-5 leaves for box-6, which is gone. */
const plan = await makePlan({ holders: [...members(1, 2, 3, 4), member(6)] });
const gone = ["box-6"];
const asked = ["box-1", "box-2", "box-3", "box-4", "box-5"];
const old = await Promise.all(asked.map((box) => makeResolved(plan, box, { gone })));
const settled = await Promise.all(asked.map((box) => makeResolved(plan, box, { gone, holds: "settled" })));

void t.test("asked are all who take part and are not gone; worth it with t+1 old holders", (t) => {
  t.strictSame(askedOf(plan, gone), asked);
  t.strictSame([["box-5"], ["box-5", "box-6"], ["box-5", "box-6", "box-7"]].map((list) => isSameGone(list, ["box-5", "box-6"])), [false, true, false]);
  t.strictSame([gone, ["box-5"], ["box-5", "box-6"], ["box-4", "box-5"], ["box-4", "box-5", "box-6"]].map((list) => isWorthAsking(plan, list)), [true, true, true, false, false]);
  t.end();
});

void t.test("back: every one asked, to this list of this plan, old", async (t) => {
  const is = (answers: readonly BatchResolved[], list = gone, of = plan): boolean => isAllOld(of, { gone: list, answers: [...answers] }, siteRecord);
  t.ok(is(old));
  t.ok(is([...old, settled[0]!]), "who says both lies, and its word is one of the two");
  const four = old.slice(0, 4);
  const fifth = async (change: Partial<BatchResolved["body"]>, signer = "box-5", site = "demo"): Promise<boolean> => is([...four, await makeResolved(plan, "box-5", { gone, ...change }, signer, site)]);
  t.ok(await fifth({}));
  t.notOk(is(four), "all, not most; also of a box that only leaves");
  t.notOk(is([...four, four[0]!]), "a box that signs twice is one");
  t.notOk(is([...four, await makeResolved(plan, "box-6", { gone })]), "the gone do not count");
  t.notOk(await fifth({ holds: "settled" }));
  t.notOk(await fifth({ gone: ["box-4"] }), "to another list");
  t.notOk(await fifth({ gone: ["box-6", "box-7"] }), "to a longer list");
  t.notOk(await fifth({ plan: filled(32, 1) }), "of another plan");
  t.notOk(await fifth({}, "box-4"), "not its own signature");
  t.notOk(await fifth({}, "box-5", "elsewhere"), "of another site");
  const three = await Promise.all(["box-1", "box-2", "box-3"].map((box) => makeResolved(plan, box, { gone: ["box-4", "box-5", "box-6"] })));
  t.notOk(is(three, ["box-4", "box-5", "box-6"]), "exactly t old holders: one that lies would be believed");
});

void t.test("back counts as the BURN certificate, of the coordinator's plan", async (t) => {
  const resolution = { gone, answers: old };
  t.ok(isBuried({ plan, resolution }, siteRecord));
  t.notOk(isBuried({ plan, resolution: { gone, answers: old.slice(1) } }, siteRecord));
  const forged: ReshardPlan = { ...plan, sig: filled(64, 1) };
  t.notOk(isBuried({ plan: forged, resolution }, siteRecord));
});

void t.test("forward: two different ones asked have settled", async (t) => {
  const is = (answers: readonly BatchResolved[]): boolean => isTwoSettled(plan, { gone, answers: [...answers] }, siteRecord);
  t.ok(is([settled[0]!, settled[1]!, ...old.slice(2)]));
  t.notOk(is([settled[0]!, ...old.slice(1)]), "one may lie");
  t.notOk(is([settled[0]!, settled[0]!]));
  t.notOk(is([settled[0]!, await makeResolved(plan, "box-6", { gone, holds: "settled" })]), "the gone do not count");
  t.notOk(is([settled[0]!, await makeResolved(plan, "box-2", { gone: ["box-5"], holds: "settled" })]), "to another list");
  t.notOk(is([settled[0]!, await makeResolved(plan, "box-2", { gone, holds: "settled", plan: filled(32, 1) })]), "of another plan");
  t.notOk(is([settled[0]!, await makeResolved(plan, "box-2", { gone, holds: "settled" }, "box-3")]), "not its own signature");
});

const rules = (key = "payroll", people = 1) => [rule.parse({ key, operations: ["recover"], require: [{ role: "officer", people }] })];
const judge = { siteRecord: { ...siteRecord, body: { ...siteRecord.body, rules: rules() } }, isQuarantined: () => false };
async function fieldsOf(of: ReshardPlan, use: Partial<UseBody> = {}, change: Partial<ApprovalFields> = {}): Promise<ApprovalFields> {
  const [{ epoch, attempt }] = of.body.keys as [ReshardPlan["body"]["keys"][number]];
  const { enclave, ...fields } = await makeFields({ epoch, attempt, record: statementHash(of), ...change }, { operation: "recover", resource: "payroll", recover: { gone }, ...use }, "service");
  t.ok(enclave);
  return approvalFields.parse(fields);
}
/** Alice's finger at box-1. */
const evidenceOf = async (fields: ApprovalFields): Promise<Evidence> => signStatement(keys["box-1"]!, "evidence", "demo", "box-1", (await makeEvidence(requestDigest(fields))).body);
const refuses = async (t: Test, code: string, message: RegExp, fields: ApprovalFields, by = judge, of = plan, evidence = true): Promise<void> => {
  const shown = evidence ? [await evidenceOf(fields)] : [];
  t.throws(() => judgeRecovery(of, fields, shown, by), { code, message }, String(message));
};

void t.test("people's evidence: for this attempt and this list, by the rule of every key in it", async (t) => {
  const good = await fieldsOf(plan, { recover: { gone: ["box-6", "box-5"] } });
  t.strictSame(goneOf(good), ["box-5", "box-6"], "one list has one form");
  t.match(judgeRecovery(plan, good, [await evidenceOf(good)], judge), { digest: requestDigest(good), rule: { operations: ["recover"] } });
  const fields = await fieldsOf(plan);
  await refuses(t, "NOT_PERMITTED", /still wanted officer/, fields, judge, plan, false);
  await refuses(t, "QUARANTINED", /box-1/, fields, { ...judge, isQuarantined: () => true });
  await refuses(t, "NOT_PERMITTED", /no rule/, fields, { ...judge, siteRecord });
  await refuses(t, "PLAN_REFUSED", /another attempt/, await fieldsOf(plan, {}, { record: filled(32, 9) }));
  await refuses(t, "PLAN_REFUSED", /another attempt/, await fieldsOf(plan, {}, { epoch: 9 }));
  await refuses(t, "PLAN_REFUSED", /another attempt/, await fieldsOf(plan, {}, { attempt: 9 }));
  await refuses(t, "PLAN_REFUSED", /box-9 takes no part/, await fieldsOf(plan, { recover: { gone: ["box-9"] } }));
  await refuses(t, "PLAN_REFUSED", /3 old holders would be asked, and it takes 4/, await fieldsOf(plan, { recover: { gone: ["box-4", "box-5"] } }));
  await refuses(t, "REQUEST_FORGED", /recovery parameters/, await fieldsOf(plan, { operation: "reshard", reshard: {} }));
  const any = { ...judge, siteRecord: { ...siteRecord, body: { ...siteRecord.body, rules: [...rules(), rule.parse({ ...rules()[0]!, operations: ["reshard"] })] } } };
  const { recover, ...none } = fields.use.body;
  t.ok(recover);
  await refuses(t, "PLAN_REFUSED", /not said who is gone/, { ...fields, ...await fieldsOf(plan, { ...none, operation: "reshard", reshard: {}, recover: undefined as never }) }, any);
  const lax = { ...judge, siteRecord: { ...siteRecord, body: { ...siteRecord.body, rules: [rule.parse({ ...rules()[0]!, resource: "open/**" }), ...rules("payroll", 2)] } } };
  await refuses(t, "PLAN_REFUSED", /not said who is gone/, await fieldsOf(plan, { resource: "open/x" }), lax);
});

void t.test("a batch: the evidence must do for each of its keys", async (t) => {
  const both = await makePlan({ keys: [refresh.keys[0]!, planKeyOf(makeCurrent({ key: "backup" }))], holders: plan.body.holders });
  const fields = await fieldsOf(both);
  await refuses(t, "NOT_PERMITTED", /no rule lets anybody recover backup/, fields, judge, both);
  const strict = { ...judge, siteRecord: { ...siteRecord, body: { ...siteRecord.body, rules: [...rules(), ...rules("backup", 2)] } } };
  await refuses(t, "NOT_PERMITTED", /still wanted officer/, fields, strict, both);
  const same = { ...judge, siteRecord: { ...siteRecord, body: { ...siteRecord.body, rules: [...rules(), ...rules("backup")] } } };
  t.ok(judgeRecovery(both, fields, [await evidenceOf(fields)], same));
});

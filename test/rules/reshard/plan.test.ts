import t, { type Test } from "tap";
import { keyRecordHash } from "../../../agent/protocol/key-record.ts";
import type { ReshardPlan } from "../../../agent/protocol/reshard.ts";
import { signStatement } from "../../../agent/protocol/statement.ts";
import { changes, judgeReshardPlan, leastHolders, type PlanJudge } from "../../../agent/rules/reshard/plan.ts";
import { current, filled, keys, makeCurrent, makePlan, member, members, planKeyOf, record, refresh } from "./support.ts";

/** box-1 holds payroll, has taken part in its birth, and knows of nothing bad. */
const judge: PlanJudge = {
  box: "box-1", siteRecord: record, isQuarantined: () => false,
  current: (key) => (key === "payroll" ? current : undefined), lastAttempt: () => current.attempt, isOpen: () => false, changedLately: () => false, approved: false,
};
const spare: PlanJudge = { ...judge, box: "box-6", current: () => undefined, lastAttempt: () => 0 };
const takes = async (t: Test, what: string, change: Partial<ReshardPlan["body"]>, by: Partial<PlanJudge> = {}): Promise<void> => {
  const plan = await makePlan(change);
  t.doesNotThrow(() => { judgeReshardPlan(plan, { ...judge, ...by }); }, what);
};
const refuses = async (t: Test, message: RegExp, change: Partial<ReshardPlan["body"]>, by: Partial<PlanJudge> = {}, code = "PLAN_REFUSED"): Promise<void> => {
  const plan = await makePlan(change);
  t.throws(() => { judgeReshardPlan(plan, { ...judge, ...by }); }, { code, message }, `${String(message)} ${JSON.stringify(change)}`);
};
const [payroll] = refresh.keys as [typeof refresh.keys[number]];

void t.test("what a coordinator may do by itself", async (t) => {
  t.equal(leastHolders, 3);
  await takes(t, "refresh", {});
  await takes(t, "one leaves", { holders: members(1, 2, 3, 4) });
  await takes(t, "one is replaced", { holders: members(1, 2, 3, 4, 6) });
  await takes(t, "the one that judges leaves", { holders: members(2, 3, 4, 5, 6) });
  await takes(t, "a leaving box that is not live is no witness", { holders: members(1, 2, 3, 4, 6), witnesses: members(1, 2, 3, 4) });
  await takes(t, "a new box", { holders: members(1, 2, 3, 4, 6) }, spare);
  const four = makeCurrent({ holders: current.holders.slice(0, 4) });
  await takes(t, "one comes back to size", { keys: [planKeyOf(four)], witnesses: members(1, 2, 3, 4), holders: members(1, 2, 3, 4, 6) }, { current: () => four });
  await takes(t, "an x may change", { holders: [member(1, 9), ...members(2, 3, 4, 5)] });
});

void t.test("the shape: who signed it, nobody and nothing twice", async (t) => {
  for (const plan of [await makePlan({}, "coordinator", "box-1"), await makePlan({}, "box-1"), await makePlan({}, "coordinator", "coordinator", "elsewhere")]) {
    t.throws(() => { judgeReshardPlan(plan, judge); }, { code: "PLAN_REFUSED", message: /not signed by the coordinator/ });
  }
  await refuses(t, /twice among the dealers/, { dealers: [member(1), member(2), member(2)] });
  await refuses(t, /twice among the dealers/, { dealers: [member(1), member(2), member(3, 2)] });
  await refuses(t, /twice among the witnesses/, { witnesses: [...members(1, 2, 3, 4), member(4, 5)] });
  await refuses(t, /twice among the witnesses/, { witnesses: [...members(1, 2, 3, 4), member(5, 4)] });
  await refuses(t, /twice among the holders/, { holders: [...members(1, 2, 3, 4), member(4, 9)] });
  await refuses(t, /twice among the holders/, { holders: [...members(1, 2, 3, 4), member(5, 1)] });
  await refuses(t, /a key stands twice/, { keys: [payroll, payroll] });
});

void t.test("dealers are exactly t of the witnesses, and one more witness proves the deal", async (t) => {
  await refuses(t, /2 dealers, not the 3/, { dealers: members(1, 2) });
  await refuses(t, /4 dealers, not the 3/, { dealers: members(1, 2, 3, 4) });
  await refuses(t, /a dealer is no witness/, { dealers: members(1, 2, 5), witnesses: members(1, 2, 3, 4) });
  await refuses(t, /a dealer is no witness/, { dealers: [member(1), member(2), member(3, 7)] });
  await takes(t, "four can", { witnesses: members(1, 2, 3, 4) });
});

void t.test("with t witnesses: one key, and only who leaves may be no witness", async (t) => {
  const four = makeCurrent({ holders: current.holders.slice(0, 4) });
  const unproven = { keys: [planKeyOf(four)], witnesses: members(1, 2, 3) };
  const holds = { current: () => four };
  await takes(t, "one of four is lost, a spare comes", { ...unproven, holders: members(1, 2, 3, 6) }, holds);
  await refuses(t, /box-4 holds a shard of payroll, stays, and is no witness/, { ...unproven, holders: members(1, 2, 3, 4) }, holds);
  await refuses(t, /box-4 holds a shard of payroll, stays/, { ...unproven, holders: members(1, 2, 3, 4) }, { ...holds, approved: true });
  await refuses(t, /2 holders of payroll leave/, { witnesses: members(1, 2, 3), holders: members(1, 2, 3, 6) }, {});
  await takes(t, "people may", { witnesses: members(1, 2, 3), holders: members(1, 2, 3, 6, 7) }, { approved: true });
  const backup = makeCurrent({ key: "backup", holders: four.holders });
  await refuses(t, /an operation proves one key, not 2/, { ...unproven, keys: [planKeyOf(four), planKeyOf(backup)], holders: members(1, 2, 3, 6) }, { current: (key: string) => (key === "backup" ? backup : four) });
});

void t.test("the floor: three, and threshold and margin, whoever approved it; and not above the size", async (t) => {
  const approved = { approved: true };
  await refuses(t, /2 holders are below the floor/, { nextThreshold: 2, margin: 0, holders: members(1, 2) }, approved);
  await takes(t, "three of two, no margin", { nextThreshold: 2, margin: 0, holders: members(1, 2, 3) }, approved);
  await refuses(t, /3 holders are below the floor: 3 and a margin of 1/, { holders: members(1, 2, 3) }, approved);
  await refuses(t, /4 holders are below the floor: 4 and a margin of 1/, { nextThreshold: 4, holders: members(1, 2, 3, 4) }, approved);
  await takes(t, "five of four", { nextThreshold: 4 }, approved);
  await refuses(t, /6 holders, more than the 5/, { holders: members(1, 2, 3, 4, 5, 6) }, approved);
});

void t.test("who is of this site and not in quarantine", async (t) => {
  await refuses(t, /stranger is no box of this site/, { holders: [...members(1, 2, 3, 4), { box: "stranger", x: 6 }] });
  await refuses(t, /cli is no box of this site/, { witnesses: [...members(1, 2, 3, 4), { box: "cli", x: 5 }] });
  await refuses(t, /box-6 is in quarantine/, { holders: members(1, 2, 3, 4, 6) }, { isQuarantined: (box) => box === "box-6" });
  await refuses(t, /box-5 is in quarantine/, { holders: members(1, 2, 3, 4) }, { isQuarantined: (box) => box === "box-5" });
  await takes(t, "one in quarantine is cut out", { holders: members(1, 2, 3, 4), witnesses: members(1, 2, 3, 4) }, { isQuarantined: (box) => box === "box-5" });
});

void t.test("no zone holds the new threshold where the site record says so, whoever approved it", async (t) => {
  const zoned = async (zones: string, noZoneHoldsThreshold = true): Promise<Partial<PlanJudge>> => ({
    siteRecord: await signStatement(keys["authority"]!, "site-record", "demo", "coordinator", { ...record.body, noZoneHoldsThreshold, boxes: record.body.boxes.map((box, i) => ({ ...box, zone: zones[i] ?? "z" })) }),
  });
  await takes(t, "two and two and one", {}, await zoned("aabbc"));
  await takes(t, "not limited", {}, await zoned("aaabb", false));
  await refuses(t, /zone a would hold 3 shards/, {}, await zoned("aabba"));
  await refuses(t, /zone b would hold 3 shards/, { holders: members(1, 2, 3, 4, 6) }, await zoned("aabbcb"));
  await takes(t, "the one that leaves counts no more", { holders: members(1, 2, 3, 4, 6) }, await zoned("aabbbc"));
  await refuses(t, /zone a would hold 2 shards/, { nextThreshold: 2 }, { ...await zoned("aabbc"), approved: true });
});

void t.test("it follows exactly the record that this box serves", async (t) => {
  for (const change of [{ previous: filled(32, 0) }, { epoch: 6 }, { epoch: 4 }, { version: 2 }, { check: filled(32, 0) }, { imported: filled(8, 0) }]) {
    await refuses(t, /does not follow the record of payroll that box-1 serves/, { keys: [{ ...payroll, ...change }] });
    await refuses(t, /does not follow/, { keys: [{ ...payroll, ...change }] }, { approved: true });
  }
  // Of another threshold: as many dealers as the plan itself wants.
  await refuses(t, /does not follow/, { threshold: 4, dealers: members(1, 2, 3, 4) });
  await refuses(t, /a witness is no holder of payroll/, { witnesses: members(1, 2, 3, 4, 6) });
  await refuses(t, /a witness is no holder of payroll/, { witnesses: [...members(1, 2, 3, 4), member(5, 6)] }, { approved: true });
});

void t.test("only people change threshold, size, margin, or more than one holder", async (t) => {
  for (const change of [{ nextThreshold: 2 }, { nextThreshold: 4 }, { size: 6 }, { margin: 0 }, { margin: 2 }]) {
    await refuses(t, /only with people's approval/, change);
    await takes(t, JSON.stringify(change), change, { approved: true });
  }
  await refuses(t, /2 holders of payroll leave and 2 come/, { holders: members(1, 2, 3, 6, 7) });
  await refuses(t, /2 holders of payroll leave and 1 come/, { holders: members(1, 2, 3, 6) });
  const three = makeCurrent({ holders: current.holders.slice(0, 4), threshold: 2 });
  const two = { keys: [planKeyOf(three)], threshold: 2, nextThreshold: 2, dealers: members(1, 2), witnesses: members(1, 2, 3, 4) };
  await refuses(t, /1 holders of payroll leave and 2 come/, { ...two, holders: members(1, 2, 3, 6, 7) }, { current: () => three });
  await takes(t, "people may", { holders: members(1, 2, 6, 7, 8) }, { approved: true });
});

void t.test("one holder a window, by this box's own clock", async (t) => {
  const lately = { changedLately: (key: string) => key === "payroll" };
  await refuses(t, /changed a short time ago/, { holders: members(1, 2, 3, 4) }, lately);
  await refuses(t, /changed a short time ago/, { holders: members(1, 2, 3, 4, 6) }, lately);
  await takes(t, "a refresh changes none", {}, lately);
  await takes(t, "people are not bound by it", { holders: members(1, 2, 3, 4, 6) }, { ...lately, approved: true });
});

void t.test("attempts: each number once, one after the other, none while one is open", async (t) => {
  const number = (attempt: number) => ({ keys: [{ ...payroll, attempt }] });
  await refuses(t, /attempt 6 for payroll does not follow attempt 6/, number(6));
  await refuses(t, /attempt 5 /, number(5));
  await takes(t, "a jump: the coordinator's backup was old", number(1006));
  await refuses(t, /attempt 1007 for payroll does not follow attempt 6/, number(1007));
  await refuses(t, /does not follow attempt 9/, { ...number(7), holders: members(1, 2, 3, 4, 6) }, { ...spare, lastAttempt: () => 9 });
  await refuses(t, /neither settled nor burnt at box-1/, {}, { isOpen: (key) => key === "payroll" }, "ATTEMPT_OPEN");
  const plan = await makePlan();
  const found = (() => { try { judgeReshardPlan(plan, { ...judge, isOpen: () => true }); } catch (error) { return error; } return undefined; })();
  t.match(found, { retryable: true }, "its certificate is on the way");
});

void t.test("whom it concerns", async (t) => {
  await refuses(t, /does not name box-7/, {}, { ...spare, box: "box-7" }, "NOT_A_HOLDER");
  await refuses(t, /box-1 holds no shard of payroll/, {}, { current: () => undefined });
  const backup = makeCurrent({ key: "backup" });
  const both = { keys: [payroll, planKeyOf(backup)] };
  const has = (key: string) => ({ payroll: current, backup })[key];
  await takes(t, "two keys", both, { current: has });
  await refuses(t, /no shard of backup/, both, {});
  await refuses(t, /record of backup/, { keys: [payroll, { ...planKeyOf(backup), previous: keyRecordHash(current) }] }, { current: has });
  await refuses(t, /backup is neither|for backup is neither/, both, { current: has, isOpen: (key) => key === "backup" }, "ATTEMPT_OPEN");
});

void t.test("who leaves and who comes", (t) => {
  t.strictSame(changes(members(1, 2, 3), members(3, 2, 1)), { leave: 0, come: 0 });
  t.strictSame(changes(members(1, 2, 3), members(2, 3, 4, 5)), { leave: 1, come: 2 });
  t.strictSame(changes([], members(1)), { leave: 0, come: 1 });
  t.end();
});

import fc from "fast-check";
import t from "tap";
import type { BatchActivated, BatchBurn, BatchPrepared } from "../../../agent/protocol/reshard.ts";
import { activationsNeeded, burnsNeeded, doubleSigners, isBuried, isPlanned, isPreparedByAll, isSettled } from "../../../agent/rules/reshard/certificates.ts";
import { filled, makeActivated, makeBurn, makePlan, makePrepared, members, record } from "./support.ts";

const batch = filled(32, 77);
const holders = ["box-1", "box-2", "box-3", "box-4", "box-5"];
const plan = await makePlan();
const otherPlan = await makePlan({ reason: "order" });
const forgedPlan = await makePlan({}, "coordinator", "box-1");
const boxPlan = await makePlan({}, "box-1");
const foreignPlan = await makePlan({}, "coordinator", "coordinator", "elsewhere");
const prepared = await Promise.all(holders.map((box) => makePrepared(plan, batch, box)));
const activated = await Promise.all(holders.map((box) => makeActivated(plan, batch, box)));
const burns = await Promise.all(holders.map((box) => makeBurn(plan, box)));

void t.test("how many it takes, and that two certificates of one plan share two boxes", (t) => {
  const table = [3, 4, 5, 6, 7, 8, 9].map((n) => [n, activationsNeeded(n), burnsNeeded(n)]);
  t.strictSame(table, [[3, 3, 2], [4, 3, 3], [5, 4, 3], [6, 5, 3], [7, 6, 3], [8, 7, 3], [9, 8, 3]]);
  for (const [n, d, b] of table as [number, number, number][]) {
    t.ok(d + b - n >= 2, `${n}: any D and any BURN share two boxes, so one liar does not make both`);
    t.ok(d <= n && b <= n, `${n}: both can form`);
    // Every two subsets of those sizes, as bits.
    const subsets = (size: number): number[] => Array.from({ length: 2 ** n }, (_, bits) => bits).filter((bits) => bits.toString(2).replaceAll("0", "").length === size);
    t.ok(subsets(d).every((one) => subsets(b).every((other) => (one & other).toString(2).replaceAll("0", "").length >= 2)), `${n}: tried out`);
  }
  t.end();
});

void t.test("whose plan it is", (t) => {
  t.strictSame([plan, forgedPlan, boxPlan, foreignPlan].map((one) => isPlanned(one, record)), [true, false, false, false]);
  t.end();
});

void t.test("P: all n' over this batch of this plan", async (t) => {
  const is = (statements: readonly BatchPrepared[]): boolean => isPreparedByAll(plan, batch, statements, record);
  t.ok(is(prepared));
  t.ok(is([...prepared].reverse()), "in any order");
  t.ok(is([...prepared, prepared[0]!, await makePrepared(plan, batch, "box-9")]), "more does no harm");
  const four = prepared.slice(0, 4);
  t.notOk(is(four), "all, not most");
  t.notOk(is([...four, four[0]!]), "a box that signs twice is one");
  t.notOk(is([...four, await makePrepared(plan, batch, "box-9")]), "no holder of this plan");
  t.notOk(is([...four, await makePrepared(plan, filled(32, 0), "box-5")]), "another batch");
  t.notOk(is([...four, await makePrepared(otherPlan, batch, "box-5")]), "another plan");
  t.notOk(is([...four, await makePrepared(plan, batch, "box-5", {}, "box-4")]), "not its own signature");
  t.notOk(is([...four, await makePrepared(plan, batch, "box-5", {}, "box-5", "elsewhere")]), "another site");
  t.notOk(is([...four, { ...activated[4]!, type: "batch-prepared" }]), "what was signed is an ACTIVATED");
});

void t.test("D: max(3, n'-1) over this batch of the coordinator's plan", async (t) => {
  const is = (statements: readonly BatchActivated[], of = plan, batched = batch): boolean => isSettled({ plan: of, batch: batched, activated: [...statements] }, record);
  t.ok(is(activated));
  t.ok(is(activated.slice(1)), "one may be away");
  const three = activated.slice(0, 3);
  t.notOk(is(three));
  t.notOk(is([...three, three[0]!, three[1]!]), "a box that signs twice is one");
  t.notOk(is([...three, await makeActivated(plan, batch, "box-9")]), "no holder of this plan");
  t.notOk(is([...three, await makeActivated(plan, filled(32, 0), "box-4")]), "another batch");
  t.notOk(is([...three, await makeActivated(otherPlan, batch, "box-4")]), "another plan");
  t.notOk(is([...three, await makeActivated(plan, batch, "box-4", {}, "box-3")]), "not its own signature");
  t.notOk(is([...three, await makeActivated(plan, batch, "box-4", {}, "box-4", "elsewhere")]), "another site");
  t.notOk(is([...three, { ...prepared[3]!, type: "batch-activated" }]), "what was signed is a PREPARED");
  t.notOk(is(activated, plan, filled(32, 0)), "for other records");
  t.notOk(is(await Promise.all(holders.map((box) => makeActivated(boxPlan, batch, box))), boxPlan), "a box's plan");
  // The signature is no part of a plan's hash: whoever relays it cannot exchange the plan, but can spoil it.
  t.notOk(is(activated, { ...plan, sig: forgedPlan.sig }), "the plan's signature is looked at");
});

void t.test("BURN: n'-D+2 of the coordinator's plan", async (t) => {
  const is = (statements: readonly BatchBurn[], of = plan): boolean => isBuried({ plan: of, burns: [...statements] }, record);
  t.ok(is(burns.slice(2)));
  const two = burns.slice(0, 2);
  t.notOk(is(two));
  t.notOk(is([...two, two[0]!, two[1]!]), "a box that signs twice is one");
  t.notOk(is([...two, await makeBurn(plan, "box-9")]), "no holder of this plan");
  t.notOk(is([...two, await makeBurn(otherPlan, "box-3")]), "another plan");
  t.notOk(is([...two, await makeBurn(plan, "box-3", {}, "box-2")]), "not its own signature");
  t.notOk(is([...two, await makeBurn(plan, "box-3", {}, "box-3", "elsewhere")]), "another site");
  t.notOk(is(await Promise.all(holders.map((box) => makeBurn(boxPlan, box))), boxPlan), "a box's plan");
  t.notOk(is(burns, { ...plan, sig: forgedPlan.sig }), "the plan's signature is looked at");
});

void t.test("who signed both ways", async (t) => {
  t.strictSame(doubleSigners(plan, activated.slice(0, 4), burns.slice(4), record), []);
  t.strictSame(doubleSigners(plan, activated.slice(0, 4), burns.slice(2), record), ["box-3", "box-4"]);
  t.strictSame(doubleSigners(plan, activated, [await makeBurn(otherPlan, "box-1")], record), [], "of two plans it may");
  t.strictSame(doubleSigners(plan, [await makeActivated(otherPlan, batch, "box-1")], burns, record), [], "of two plans it may");
  t.strictSame(doubleSigners(plan, activated, [await makeBurn(plan, "box-1", {}, "box-2")], record), [], "nobody is convicted by another's signature");
  t.strictSame(doubleSigners(plan, [await makeActivated(plan, batch, "box-1", {}, "box-2")], burns, record), []);
  const leaving = await makePlan({ holders: members(1, 2, 3, 4) });
  t.strictSame(doubleSigners(leaving, [await makeActivated(leaving, batch, "box-5")], [await makeBurn(leaving, "box-5")], record), ["box-5"], "a witness too");
});

void t.test("any heap of statements counts as many as there are different right signers", async () => {
  const wrong = {
    prepared: await Promise.all(holders.map((box) => makePrepared(otherPlan, batch, box))),
    activated: await Promise.all(holders.map((box, i) => makeActivated(plan, batch, box, {}, holders[(i + 1) % 5]))),
    burns: await Promise.all(["box-6", "box-7", "box-8", "box-9", "box-9"].map((box) => makeBurn(plan, box))),
  };
  const picks = fc.array(fc.tuple(fc.nat(4), fc.boolean()), { maxLength: 14 });
  const pick = <S>(from: readonly S[], bad: readonly S[], chosen: readonly (readonly [number, boolean])[]): S[] => chosen.map(([i, right]) => (right ? from : bad)[i]!);
  fc.assert(fc.property(picks, (chosen) => {
    const right = new Set(chosen.filter(([, good]) => good).map(([i]) => i)).size;
    return isPreparedByAll(plan, batch, pick(prepared, wrong.prepared, chosen), record) === (right === 5)
      && isSettled({ plan, batch, activated: pick(activated, wrong.activated, chosen) }, record) === (right >= 4)
      && isBuried({ plan, burns: pick(burns, wrong.burns, chosen) }, record) === (right >= 3);
  }), { numRuns: 60 });
});

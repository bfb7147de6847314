import t from "tap";
import type { Outcome } from "../../../agent/coordinator/reshard/attempt.ts";
import { Patience } from "../../../agent/coordinator/reshard/patience.ts";
import type { CoordinatorParts } from "../../../agent/coordinator/parts.ts";
import type { ReshardPlan } from "../../../agent/protocol/reshard.ts";
import { makeCurrent, makePlan, members, record as siteRecord, refresh } from "../../rules/reshard/support.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const [payroll] = refresh.keys as [typeof refresh.keys[number]];
const record = makeCurrent();
const planOf = (...keys: readonly string[]): Promise<ReshardPlan> => makePlan({ keys: keys.map((key) => ({ ...payroll, key })) });
const silent = (...boxes: readonly string[]): Exclude<Outcome, { kind: "prepared" }> => ({ kind: "silent", step: "join", boxes });
const refused = { kind: "refused", step: "join", box: "box-1", code: "PLAN_REFUSED" } as const;

function begin(byte = 0, isUsed: (key: string) => boolean = () => false): { clock: VirtualClock; patience: Patience } {
  const clock = new VirtualClock();
  const config = { reshardPeriodMs: 100_000, reshardWindowMs: 5000, lostMs: 15_000, operationMs: 60_000 };
  const parts = { clock, config, site: { current: siteRecord }, random: { bytes: (length: number) => new Uint8Array(length).fill(byte) } } as unknown as CoordinatorParts;
  return { clock, patience: new Patience(parts, isUsed) };
}

void t.test("due by its period, shortened by up to a tenth; an order is due at once", async (t) => {
  for (const [byte, periodMs] of [[0, 100_000], [128, 95_000], [255, 90_039.0625]] as const) {
    const { clock, patience } = begin(byte);
    t.equal(patience.wish(record).due, null);
    await clock.advance(Math.ceil(periodMs) - 1);
    t.equal(patience.wish(record).due, null);
    await clock.advance(1);
    t.equal(patience.wish(record).due, "period");
    patience.order("payroll");
    t.equal(patience.wish(record).due, "order");
    t.equal(patience.wish(makeCurrent({ key: "backup" })).due, null, "an order is for one key");
    patience.settled("payroll", false);
    t.equal(patience.wish(record).due, null, "begun anew");
    await clock.advance(Math.ceil(periodMs));
    t.equal(patience.wish(record).due, "period");
  }
});

void t.test("the calendar waits for an operation with the key, no longer than one may last; an order does not wait", async (t) => {
  const used = new Set(["payroll"]);
  const { clock, patience } = begin(0, (key) => used.has(key));
  patience.wish(record);
  await clock.advance(100_000);
  t.equal(patience.wish(record).due, null);
  patience.order("payroll");
  t.equal(patience.wish(record).due, "order");
  patience.forget("payroll");
  used.clear();
  t.equal(patience.wish(record).due, "period");
  used.add("payroll");
  await clock.advance(59_999);
  t.equal(patience.wish(record).due, null);
  await clock.advance(1);
  t.equal(patience.wish(record).due, "period", "somebody who always asks does not keep an old epoch alive");
});

void t.test("one change a window", async (t) => {
  const { clock, patience } = begin();
  t.equal(patience.wish(record).mayChange, true);
  patience.settled("payroll", false);
  t.equal(patience.wish(record).mayChange, true, "a refresh is none");
  patience.settled("payroll", true);
  t.equal(patience.wish(record).mayChange, false);
  await clock.advance(4999);
  t.equal(patience.wish(record).mayChange, false);
  await clock.advance(1);
  t.equal(patience.wish(record).mayChange, true);
  patience.assumeChanged("payroll");
  t.equal(patience.wish(record).mayChange, false, "before our start it may have been changed");
});

void t.test("after a failure it waits, twice as long each time, a minute at most; an order does not wait", async (t) => {
  const { clock, patience } = begin();
  const plan = await planOf("payroll");
  t.equal(patience.mayTry("payroll"), true);
  for (const waitMs of [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]) {
    patience.failed(plan, silent());
    await clock.advance(waitMs - 1);
    t.equal(patience.mayTry("payroll"), false, String(waitMs));
    await clock.advance(1);
    t.equal(patience.mayTry("payroll"), true, String(waitMs));
  }
  patience.failed(plan, silent());
  patience.order("payroll");
  t.equal(patience.mayTry("payroll"), true);
  patience.settled("payroll", false);
  patience.failed(plan, silent());
  await clock.advance(1000);
  t.equal(patience.mayTry("payroll"), true, "success forgets the failures");
});

void t.test("who missed the deadline is left out for a while", async (t) => {
  const { clock, patience } = begin();
  const plan = await planOf("payroll");
  patience.failed(plan, silent("box-2", "box-4"));
  t.strictSame([...patience.wish(record).avoid], ["box-2", "box-4"]);
  t.strictSame([...patience.wish(record).suspicion], [], "silence is no suspicion");
  await clock.advance(14_999);
  t.strictSame([...patience.wish(record).avoid], ["box-2", "box-4"]);
  await clock.advance(1);
  t.strictSame([...patience.wish(record).avoid], []);
  patience.failed(plan, refused);
  t.strictSame([...patience.wish(record).avoid], [], "nor is a refusal silence");
});

void t.test("bad deals: one suspect after the other is left out, never the same again, and after two people must look", async (t) => {
  const { patience } = begin();
  const wish = () => { const { suspect, suspicion, gaveUp } = patience.wish(record); return { suspect, suspicion: [...suspicion], gaveUp }; };
  const sums = { kind: "sums-differ" } as const;
  patience.badDeal(await planOf("payroll"), sums, true);
  t.strictSame(wish(), { suspect: null, suspicion: [], gaveUp: false }, "somebody was named: nobody else is suspected");
  patience.badDeal(await planOf("payroll"), sums, false);
  t.strictSame(wish(), { suspect: "box-1", suspicion: [["box-1", 1], ["box-2", 1], ["box-3", 1]], gaveUp: false });
  patience.badDeal(await makePlan({ dealers: members(3, 4, 5) }), sums, false);
  t.strictSame(wish(), { suspect: "box-3", suspicion: [["box-1", 1], ["box-2", 1], ["box-3", 2], ["box-4", 1], ["box-5", 1]], gaveUp: false }, "the most suspected of those who dealt");
  patience.badDeal(await makePlan({ dealers: members(2, 4, 5) }), sums, false);
  t.equal(wish().gaveUp, true);
  patience.order("payroll");
  t.strictSame([wish().suspect, wish().gaveUp], [null, false], "somebody has looked");
  patience.badDeal(await planOf("payroll"), { kind: "dealers-off-degree", pairs: [{ dealer: 2, holder: null }] }, false);
  t.equal(wish().suspect, "box-2", "only who is off its degree");
  patience.settled("payroll", true);
  t.strictSame([wish().suspect, wish().gaveUp], [null, false]);
  patience.badDeal(await planOf("payroll"), { kind: "witnesses-off-degree", liars: [5] }, false);
  t.equal(wish().suspect, "box-5", "a witness off the others' polynomial");
});

void t.test("a refused batch is halved, down to one key; other failures halve nothing", async (t) => {
  const { patience } = begin();
  const parts = (...keys: readonly string[]): string[] => keys.map((key) => patience.part(key));
  patience.failed(await planOf("a", "b", "c"), silent());
  patience.badDeal(await planOf("a", "b", "c"), { kind: "sums-differ" }, false);
  t.strictSame(parts("a", "b", "c"), ["", "", ""]);
  patience.failed(await planOf("a", "b", "c"), refused);
  t.strictSame(parts("a", "b", "c"), ["0", "0", "1"]);
  patience.failed(await planOf("a", "b"), refused);
  t.strictSame(parts("a", "b", "c"), ["00", "01", "1"]);
  patience.failed(await planOf("a"), refused);
  t.strictSame(parts("a", "b", "c"), ["00", "01", "1"], "alone it is what it is");
  patience.settled("b", false);
  t.strictSame(parts("a", "b", "c"), ["00", "", "1"], "and together again afterwards");
});

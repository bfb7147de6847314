import t from "tap";
import { ExchangeError } from "../../../agent/mqtt/exchange.ts";
import type { KeyRecord } from "../../../agent/protocol/key-record.ts";
import type { ReshardCheck } from "../../../agent/protocol/reshard.ts";
import { signStatement, statementHash } from "../../../agent/protocol/statement.ts";
import { filled, member, members } from "../../rules/reshard/support.ts";
import { CoordinatorBench } from "../../support/reshard-coordinator.ts";
import { ReshardFleet, type FleetBox } from "../../support/reshard-fleet.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const five = [1, 2, 3, 4, 5];
const secretOf = (n: number): Uint8Array => new Uint8Array(32).fill(n + 1);

async function begin({ boxes = 5, keys = ["payroll"], change = {}, config = {} }: { boxes?: number; keys?: readonly string[]; change?: Partial<KeyRecord>; config?: object } = {}): Promise<{ bench: CoordinatorBench; fleet: ReshardFleet; clock: VirtualClock }> {
  const clock = new VirtualClock();
  const fleet = await ReshardFleet.make(clock, boxes);
  const records: KeyRecord[] = [];
  for (const [i, key] of keys.entries()) records.push(await fleet.addKey(key, secretOf(i), five, change));
  return { bench: await CoordinatorBench.start(fleet, records, config), fleet, clock };
}
async function ordered(bench: CoordinatorBench, key = "payroll"): Promise<KeyRecord> {
  let done = false;
  const order = bench.resharder.order(key).finally(() => { done = true; });
  order.catch(() => undefined);
  await bench.fleet.clock.until(() => done, 120_000, "the order");
  return await order;
}
const steps = ["join", "deal", "seal", "check", "prepare", "activate", "settle"].map((step) => `reshard-${step}`);

void t.test("an order: from PLAN to DESTROYED, everything journalled before it is said", async (t) => {
  const { bench, fleet } = await begin();
  const record = await ordered(bench);
  t.match(record, { epoch: 2, attempt: 2, holders: fleet.box(1).shelf.get("payroll", "current")!.record.holders });
  t.equal(bench.resharder.serving("payroll"), record);
  await bench.quiet();
  t.strictSame(steps.map((step) => bench.count(step)), [5, 3, 5, 5, 5, 5, 5]);
  t.strictSame(bench.status().exposures, [{ epoch: 1, attempt: 2, threshold: 3, open: [], software: 5, hardware: 0 }]);
  t.strictSame(await fleet.combine("payroll", [1, 3, 5]), secretOf(0));
  t.strictSame(bench.unsound, []);
  const { sent } = bench;
  await fleet.clock.advance(30_000);
  t.equal(bench.sent.length, sent.length, "then nobody is bothered any more");
});

void t.test("a plan that cannot be made is tried again in a while, not without end at once", async (t) => {
  const { bench, fleet, clock } = await begin();
  const sign = fleet.coordinatorHsm.sign.bind(fleet.coordinatorHsm);
  let failures = 0;
  fleet.coordinatorHsm.sign = (role, message) => (failures++ < 50 ? Promise.reject(new Error("no HSM")) : sign(role, message));
  bench.resharder.order("payroll").catch(() => undefined);
  await clock.advance(10_000);
  t.ok(failures > 1 && failures < 25, `${failures} tries in 10 s`);
  failures = 50;
  await clock.until(() => bench.keys.get("payroll")?.record.epoch === 2, 10_000, "the order");
});

void t.test("one loss, twelve keys: one batch", async (t) => {
  const keys = Array.from({ length: 12 }, (_, i) => `key-${i}`);
  const { bench, fleet, clock } = await begin({ keys });
  bench.down.add("box-5");
  await clock.until(() => keys.every((key) => bench.keys.get(key)?.record.epoch === 2), 60_000, "all keys");
  await clock.advance(4000);
  t.strictSame([...steps, "reshard-burn"].map((step) => new Set(bench.sent.filter(({ name, box }) => name === step && box !== "box-5").map(({ box }) => box)).size), [4, 3, 4, 4, 4, 4, 4, 0]);
  t.strictSame(steps.slice(0, 6).map((step) => bench.count(step)), [4, 3, 4, 4, 4, 4], "as many messages as for one key");
  t.strictSame(keys.map((key) => bench.status(key).exposures[0]!.open), keys.map(() => ["box-5"]));
  for (const [i, key] of keys.entries()) t.strictSame(await fleet.combine(key, [2, 3, 4]), secretOf(i), key);
  bench.down.clear();
  await bench.quiet();
  t.strictSame(fleet.box(5).shelf.all(), [], "it was shown D");
  t.strictSame(bench.unsound, []);
});

void t.test("a key that one box refuses is split off by halves; all others are re-sharded", async (t) => {
  const keys = Array.from({ length: 12 }, (_, i) => `key-${String(i).padStart(2, "0")}`);
  const { bench, fleet, clock } = await begin({ keys });
  const three = fleet.box(3);
  await three.store.commit([three.shelf.remove(three.shelf.get("key-07", "current")!)]);
  bench.down.add("box-5");
  const others = keys.filter((key) => key !== "key-07");
  await clock.until(() => others.every((key) => bench.keys.get(key)?.record.epoch === 2), 120_000, "all others");
  t.equal(bench.keys.get("key-07")?.record.epoch, 1);
  const sizes = bench.journal.all().map(({ plan, phase }) => `${plan.body.keys.length} ${phase}`);
  t.strictSame(sizes.filter((one) => one.endsWith("settled")).sort(), ["1 settled", "3 settled", "6 settled", "1 settled"].sort(), "halves of halves");
  for (const key of others) t.strictSame(await fleet.combine(key, [1, 3, 4]), secretOf(keys.indexOf(key)), key);
  t.strictSame(bench.unsound, []);
});

void t.test("orders: no such key, and what holds is said at once", async (t) => {
  const { bench, clock } = await begin({ change: { margin: 2 } });
  await t.rejects(bench.resharder.order("nothing"), { code: "UNKNOWN_KEY" });
  bench.down.add("box-5");
  await clock.until(() => bench.status().held !== null, 60_000, "the hold");
  await t.rejects(bench.resharder.order("payroll"), { code: "RESHARD_HELD", message: /floor/ });
  t.equal(bench.status().held, "floor");
  t.ok(bench.logged.some((line) => line.startsWith("re-shard held") && line.includes("floor")));
  bench.down.add("box-4");
  await clock.until(() => bench.status().held === "several-out", 60_000, "two out");
  bench.down.add("box-3");
  await clock.until(() => bench.status().held === "our-network", 60_000, "a majority is away");
  await t.rejects(bench.resharder.order("payroll"), { code: "RESHARD_HELD", message: /our-network/ });
  t.strictSame([bench.sent.filter(({ name }) => name.startsWith("reshard")), bench.keys.get("payroll")!.record.epoch], [[], 1]);
  bench.down.clear();
  await clock.until(() => bench.status().held === null, 60_000, "all are back");
});

void t.test("many keys held for one reason are one alarm, which says how many and names the first", async (t) => {
  const keys = ["a", "b", "c", "d", "e"];
  const { bench, clock } = await begin({ keys, change: { margin: 2 } });
  bench.down.add("box-5");
  await clock.until(() => keys.every((key) => bench.status(key).held === "floor"), 60_000, "the hold");
  await clock.advance(5000);
  t.strictSame(bench.logged.filter((line) => line.startsWith("re-shard held")), ['re-shard held {"keys":5,"key":"a b c …","why":"floor"}'], "and not again at every look");
});

void t.test("a box that is lost makes room for a spare, and comes back as one", async (t) => {
  const { bench, fleet, clock } = await begin({ boxes: 6 });
  bench.down.add("box-2");
  await clock.until(() => bench.status().epoch === 2, 60_000, "the re-shard");
  t.strictSame(bench.keys.get("payroll")!.record.holders.map(({ box, x }) => ({ box, x })), [...members(1, 3, 4, 5), member(6)]);
  t.strictSame(await fleet.combine("payroll", [1, 4, 6]), secretOf(0));
  bench.down.clear();
  await bench.quiet();
  t.strictSame(fleet.box(2).held(), []);
  t.match(bench.journal.all().map(({ plan }) => plan.body.reason), ["lost"]);
  t.strictSame(bench.unsound, []);
});

void t.test("who misses the deadline: the attempt is burnt, the next one does without it, and it comes back", async (t) => {
  const { bench, fleet } = await begin();
  bench.answer = async (name, box, _data, ask) => {
    if (name === "reshard-seal" && box.id === "box-2") throw new ExchangeError("NO_ANSWER", "box-2 is silent");
    return await ask();
  };
  const record = await ordered(bench);
  t.strictSame(record.holders.map(({ x }) => x), [1, 3, 4, 5]);
  t.match([record.epoch, record.attempt], [2, 3], "no number is used twice");
  t.strictSame(bench.journal.all().map(({ phase, plan }) => [phase, plan.body.holders.length, plan.body.reason]), [["burnt", 5, "order"], ["settled", 4, "order"]]);
  t.ok(bench.logged.some((line) => line.startsWith("re-shard attempt failed") && line.includes("box-2 silent at seal")));
  bench.answer = (_name, _box, _data, ask) => ask();
  await fleet.clock.until(() => bench.status().epoch === 3, 120_000, "a spare again");
  await bench.quiet();
  t.strictSame(five.map((n) => fleet.box(n).held()), five.map(() => ["current 3"]));
  t.strictSame(bench.status().exposures.map(({ epoch, attempt, open }) => [epoch, attempt, open]), [[2, 2, []], [1, 3, []], [2, 4, []]], "the burnt one is counted too");
  t.strictSame(await fleet.combine("payroll", [1, 2, 5]), secretOf(0));
  t.strictSame(bench.unsound, []);
});

void t.test("a bad deal is burnt; a witness off the others' polynomial is left out of the next attempt, and comes back after it", async (t) => {
  const { bench, fleet } = await begin();
  const sign = (box: FleetBox) => ({ sign: (message: Uint8Array) => box.hsm.sign("identity", message) });
  bench.answer = async (name, box, _data, ask) => {
    const answer = await ask();
    if (name !== "reshard-check" || box.id !== "box-4" || bench.journal.all().length > 1) return answer;
    const { check } = answer as { readonly check: ReshardCheck };
    return { check: await signStatement(sign(box), "reshard-check", "demo", box.id, { ...check.body, witness: filled(16, 1) }) };
  };
  const record = await ordered(bench);
  t.equal(record.attempt, 3);
  t.strictSame(bench.journal.all().slice(0, 2).map(({ phase, plan }) => [phase, plan.body.holders.map(({ x }) => x)]), [["burnt", [1, 2, 3, 4, 5]], ["settled", [1, 2, 3, 5]]]);
  t.notOk(bench.sent.some(({ name, plan }) => name === "reshard-prepare" && plan === statementHash(bench.journal.all()[0]!.plan)), "nobody was asked to prepare the first");
  await bench.quiet();
  t.strictSame(await fleet.combine("payroll", [1, 2, 5]), secretOf(0));
});

void t.test("what a box has not signed, or not for this, does not count", async (t) => {
  const { bench, fleet, clock } = await begin();
  const sign = (box: FleetBox) => ({ sign: (message: Uint8Array) => box.hsm.sign("identity", message) });
  const plan = (): string => statementHash(bench.journal.all()[0]!.plan);
  let lying = true;
  bench.answer = async (name, box, _data, ask) => {
    const answer = await ask();
    if (!lying) return answer;
    const { batch } = bench.journal.all()[0]!;
    const other = fleet.box(box.id === "box-5" ? 4 : 5);
    if (name === "reshard-activate") {
      if (box.id === "box-1") return { activated: await signStatement(sign(other), "batch-activated", "demo", other.id, { plan: plan(), batch: batch! }) };
      if (box.id === "box-2") return { activated: await signStatement(sign(other), "batch-activated", "demo", box.id, { plan: plan(), batch: batch! }) };
      if (box.id === "box-3") return { activated: await signStatement(sign(box), "batch-activated", "demo", box.id, { plan: filled(32, 0), batch: batch! }) };
      if (box.id === "box-4") return { activated: await signStatement(sign(box), "batch-activated", "demo", box.id, { plan: plan(), batch: filled(32, 0) }) };
    }
    return answer;
  };
  const order = bench.resharder.order("payroll");
  await clock.advance(10_000);
  t.strictSame(bench.phases(), ["certified"], "one ACTIVATED is none");
  t.equal(new Set(bench.logged.filter((line) => line.startsWith("re-shard statement not its own"))).size, 3, "three are no statements of that box");
  // box-4 has signed; only for other records.
  lying = false;
  const wrong = ["of", "plan", "by", "signature"];
  bench.answer = async (name, box, _data, ask) => {
    const answer = await ask();
    const n = five.findIndex((one) => box.id === `box-${one}`);
    const what = wrong[n];
    if (name !== "reshard-settle" || what === undefined) return answer;
    const other = fleet.box(5);
    const body = { plan: what === "plan" ? filled(32, 0) : plan(), of: what === "of" ? "next" as const : "old" as const, hsm: "hardware" as const };
    return { destroyed: await signStatement(sign(what === "by" || what === "signature" ? other : box), "batch-destroyed", "demo", what === "by" ? other.id : box.id, body) };
  };
  await clock.until(() => bench.phases()[0] === "settled", 20_000, "D");
  t.equal((await order).epoch, 2);
  await clock.advance(6000);
  t.match(bench.status().exposures, [{ open: ["box-1", "box-2", "box-3", "box-4"], hardware: 0, software: 1 }], "four lied about what they destroyed");
  bench.answer = (_name, _box, _data, ask) => ask();
  await bench.quiet();
  t.match(bench.status().exposures, [{ open: [], software: 5 }]);
  t.strictSame(bench.unsound, []);
});

void t.test("before D the old record serves, unless too few of its holders are there and enough of the new ones", async (t) => {
  const { bench, clock } = await begin({ boxes: 6 });
  bench.answer = async (name, box, _data, ask) => {
    if (name === "reshard-activate" && (box.id === "box-3" || box.id === "box-4")) throw new ExchangeError("NO_ANSWER", "silent");
    return await ask();
  };
  bench.down.add("box-5");
  await clock.until(() => bench.phases()[0] === "certified" && bench.count("reshard-activate") >= 5, 60_000, "P");
  t.equal(bench.resharder.serving("payroll")!.epoch, 1);
  t.equal(bench.status().reshard, "certified");
  bench.down.add("box-3").add("box-4");
  await clock.until(() => !bench.boxes.isLive("box-3") && !bench.boxes.isLive("box-4"), 60_000, "they are lost");
  t.equal(bench.resharder.serving("payroll")!.epoch, 2, "1, 2 and 6 serve the new one");
  bench.down.add("box-6");
  await clock.until(() => !bench.boxes.isLive("box-6"), 60_000, "too few of either");
  t.equal(bench.resharder.serving("payroll")!.epoch, 1);
  t.equal(bench.resharder.serving("nothing"), undefined);
});

void t.test("keys of different old holders go apart, also where the new ones are the same: each lost box is shown D", async (t) => {
  const clock = new VirtualClock();
  const fleet = await ReshardFleet.make(clock, 6);
  const records = [await fleet.addKey("a", secretOf(0), five, { epoch: 2 }), await fleet.addKey("b", secretOf(1), [1, 2, 3, 4, 6], { epoch: 2 })];
  // The window makes both due at the same moment, long after both boxes were lost.
  const bench = await CoordinatorBench.start(fleet, records, { reshardWindowMs: 60_000 });
  bench.down.add("box-5").add("box-6");
  await clock.until(() => ["a", "b"].every((key) => bench.status(key).epoch === 3), 90_000, "both");
  await clock.advance(5000);
  t.strictSame(["a", "b"].map((key) => bench.status(key).exposures.map(({ open }) => open)), [[["box-5"]], [["box-6"]]]);
});

void t.test("a refresh changes no holder: the loss after it need not wait for the window", async (t) => {
  const { bench, fleet, clock } = await begin({ config: { reshardWindowMs: 600_000 } });
  await ordered(bench);
  bench.down.add("box-5");
  await clock.until(() => bench.status().epoch === 3, 60_000, "the loss");
  bench.down.add("box-4");
  await clock.until(() => bench.status().held !== null, 60_000, "the next loss");
  t.equal(fleet.boxes.size, 5);
});

void t.test("the window: a second change waits, in the next life as well", async (t) => {
  const { bench, clock } = await begin({ boxes: 7, config: { reshardWindowMs: 120_000, absentMs: 20_000 } });
  bench.down.add("box-5");
  await clock.until(() => bench.status().epoch === 2, 60_000, "the first");
  bench.down.add("box-4");
  await clock.until(() => bench.status().held === "window", 60_000, "the second waits");
  bench.kill();
  bench.live();
  await clock.advance(60_000);
  t.equal(bench.status().epoch, 2);
  await clock.until(() => bench.status().epoch === 3, 120_000, "it is over");
  t.notOk(bench.logged.some((line) => line.startsWith("re-shard held") && line.includes("window")), "no alarm for what passes by itself");
});

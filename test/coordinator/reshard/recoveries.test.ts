import t from "tap";
import { ExchangeError } from "../../../agent/mqtt/exchange.ts";
import type { BatchActivated, BatchResolved, ReshardPlan } from "../../../agent/protocol/reshard.ts";
import { signStatement, statementHash } from "../../../agent/protocol/statement.ts";
import { filled } from "../../rules/reshard/support.ts";
import type { CommitHooks } from "../../support/memory-store.ts";
import { recoverRules, recovery } from "../../support/reshard-approval.ts";
import { CoordinatorBench } from "../../support/reshard-coordinator.ts";
import { ReshardFleet, site, type FleetBox } from "../../support/reshard-fleet.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const secret = new Uint8Array(32).fill(7);
const gone = ["box-4", "box-5"];
const silent = (): never => { throw new ExchangeError("NO_ANSWER", "silent"); };

async function begin() {
  const clock = new VirtualClock();
  const fleet = await ReshardFleet.make(clock, 5, 0, recoverRules);
  const bench = await CoordinatorBench.start(fleet, [await fleet.addKey("payroll", secret, [1, 2, 3, 4, 5], { threshold: 2 })]);
  const finish = async <T>(promise: Promise<T>): Promise<T> => {
    let done = false;
    promise.then(() => { done = true; }, () => { done = true; });
    await clock.until(() => done, 120_000, "its end");
    return await promise;
  };
  const plan = (list = gone) => bench.resharder.recoveries.plan("payroll", { gone: list });
  const carryOut = async (of: ReshardPlan, list = gone) => {
    const record = bench.resharder.recoveries.carryOut(of, await recovery(fleet, of, list));
    record.catch(() => undefined);
    return { record };
  };
  const recover = async () => await finish((await carryOut(plan())).record);
  const absent = (boxes: readonly string[]) => clock.until(() => boxes.every((box) => !bench.boxes.isLive(box)), 60_000, "they are missed");
  return { bench, fleet, clock, finish, plan, carryOut, recover, absent };
}

/** P is shown, and two of five fall silent before they activate: neither certificate can form. */
async function stuck() {
  const site = await begin();
  const { bench, clock, absent } = site;
  bench.answer = (name, box, _data, ask) => {
    if (name !== "reshard-activate" || !gone.includes(box.id)) return ask();
    bench.down.add(box.id);
    return silent();
  };
  bench.resharder.order("payroll").catch(() => undefined);
  await clock.until(() => bench.phases()[0] === "certified" && gone.every((box) => bench.down.has(box)), 60_000, "P");
  await absent(gone);
  await clock.advance(60_000);
  t.strictSame(bench.phases(), ["certified"], "for ever");
  t.equal(bench.status().reshard, "certified");
  return site;
}

void t.test("neither certificate can form: people say who is gone, all others answer old, and the old epoch is the key's", async (t) => {
  const { bench, fleet, recover } = await stuck();
  t.match(await recover(), { epoch: 1, threshold: 2 });
  t.equal(bench.phases()[0], "burnt");
  await fleet.clock.advance(5000);
  t.strictSame([1, 2, 3].map((n) => fleet.box(n).held().join()), Array(3).fill("current 1"));
  t.strictSame(bench.sent.filter(({ name }) => name === "reshard-resolve").map(({ box }) => box).sort(), ["box-1", "box-2", "box-3"], "each once, the gone never");
  t.match(bench.logged.join("\n"), /re-shard recovery .*"gone":"box-4 box-5","asked":"box-1 box-2 box-3"/);
  t.strictSame(bench.unsound, []);
  bench.answer = (_name, _box, _data, ask) => ask();
  for (const box of gone) bench.down.delete(box);
  await bench.quiet();
  t.strictSame(gone.map((box) => fleet.box(box).attempts.all().find(({ plan }) => plan.body.keys[0]?.attempt === 2)?.stage), ["burnt", "burnt"], "who returns is shown the same");
  t.strictSame(await fleet.combine("payroll", [1, 4]), secret);
});

void t.test("whatever can be wrong with the list is said before anybody is asked", async (t) => {
  const { bench, plan } = await stuck();
  const held = (list: readonly string[], message: RegExp): void => { t.throws(() => plan([...list]), { code: "RECOVER_HELD", message, retryable: true }); };
  held(["box-4"], /box-5 must answer and is not there/);
  held(["box-3", ...gone], /box-3 is there, and not gone/);
  held(["box-9"], /box-9 takes no part/);
  bench.down.add("box-3");
  await bench.fleet.clock.until(() => !bench.boxes.isLive("box-3"), 60_000, "missed");
  held(["box-3", ...gone], /2 old holders would be asked, .* less than 3/);
  t.throws(() => bench.resharder.recoveries.plan("nothing", { gone }), { code: "UNKNOWN_KEY" });
  t.equal(bench.count("reshard-resolve"), 0);
  const idle = await begin();
  t.throws(() => idle.plan(), { code: "RECOVER_HELD", message: /none is under way/ });
  idle.bench.answer = (name, _box, _data, ask) => (name === "reshard-deal" ? new Promise(() => undefined) : ask());
  idle.bench.resharder.order("payroll").catch(() => undefined);
  await idle.clock.advance(10);
  t.throws(() => idle.plan(), { code: "RECOVER_HELD", message: /planned and ends by itself/ });
});

void t.test("looked at again when people have answered: who came back, evidence that does not do, an attempt that ended", async (t) => {
  const one = await stuck();
  const plan = one.plan();
  const { fields } = await recovery(one.fleet, plan, gone);
  await t.rejects(one.bench.resharder.recoveries.carryOut(plan, { fields, evidence: [] }), { code: "NOT_PERMITTED" });
  t.equal(one.bench.phases()[0], "certified", "nothing is journalled");
  one.bench.answer = (name, box, _data, ask) => (name === "reshard-activate" && gone.includes(box.id) ? silent() : ask());
  one.bench.down.delete("box-4");
  await one.clock.until(() => one.bench.boxes.isLive("box-4"), 60_000, "it is back");
  await t.rejects(one.finish((await one.carryOut(plan)).record), { code: "RECOVER_HELD", message: /box-4 is there/ });
  one.bench.answer = (_name, _box, _data, ask) => ask();
  await one.clock.until(() => one.bench.phases()[0] === "settled", 60_000, "D");
  await t.rejects(one.finish((await one.carryOut(plan)).record), { code: "RECOVER_HELD", message: /ended by itself/ });
});

void t.test("one list only; the same again goes on; a box that is late answers when it is back", async (t) => {
  const { bench, finish, plan, carryOut, recover } = await stuck();
  bench.answer = (name, box, _data, ask) => (name === "reshard-resolve" && box.id === "box-3" ? silent() : ask());
  await t.rejects(finish((await carryOut(plan())).record), { code: "RECOVER_HELD", message: /not all have answered; it goes on by itself/ });
  t.equal(bench.status().reshard, "resolving");
  t.equal(bench.journal.all()[0]!.resolution!.answers.length, 2);
  t.throws(() => plan(["box-4"]), { code: "RECOVER_HELD", message: /asked already, with box-4 box-5 gone/ });
  bench.answer = (_name, _box, _data, ask) => ask();
  t.match(await recover(), { epoch: 1 });
  t.equal(bench.sent.filter(({ name, box }) => name === "reshard-resolve" && box === "box-1").length, 1, "nobody is asked what it has answered");
});

const signed = (box: FleetBox, body: BatchResolved["body"], by = box.id): Promise<BatchResolved> => signStatement({ sign: (message) => box.hsm.sign("identity", message) }, "batch-resolved", site, by, body);

void t.test("an answer that is another's, of another plan, to another list or not signed does not count", async (t) => {
  const { bench, clock, plan, carryOut } = await stuck();
  const body = { plan: statementHash(plan()), gone, holds: "old" as const };
  const [one, two] = ["box-1", "box-2"].map((box) => bench.fleet.box(box)) as [FleetBox, FleetBox];
  const lies = [await signed(two, body), await signed(one, { ...body, plan: filled(32, 1) }), await signed(one, { ...body, gone: ["box-5"] }), await signed(two, body, "box-1")];
  let told = 0;
  bench.answer = (name, box, _data, ask) => (name !== "reshard-resolve" ? ask() : box === one ? Promise.resolve({ resolved: lies[told++ % lies.length]!, activated: [] }) : ask());
  await carryOut(plan());
  await clock.until(() => told >= 8, 60_000, "every lie, twice");
  t.strictSame(bench.journal.all()[0]!.resolution!.answers.map(({ by }) => by).sort(), ["box-2", "box-3"]);
  t.equal(bench.logged.filter((line) => line.startsWith("re-shard statement not its own")).length >= 7, true);
  bench.answer = (_name, _box, _data, ask) => ask();
  await clock.until(() => bench.phases()[0] === "burnt", 60_000, "its own answer");
});

void t.test("two that say they have settled, and D is nowhere: nothing moves", async (t) => {
  const { bench, clock, plan, carryOut } = await stuck();
  const body = { plan: statementHash(plan()), gone, holds: "settled" as const };
  bench.answer = async (name, box, _data, ask) => (name === "reshard-resolve" && box.id !== "box-3" ? { resolved: await signed(box, body), activated: [] } : await ask());
  await carryOut(plan());
  await clock.advance(20_000);
  t.strictSame([bench.phases(), bench.journal.all()[0]!.resolution!.answers.length], [["resolving"], 3]);
});

void t.test("killed after any commit: it is driven to its end, and no box is asked what it has answered", async (t) => {
  for (let kill = 1; kill <= 5; kill++) {
    const { bench, clock, plan, carryOut } = await stuck();
    let commits = 0;
    const hooks: CommitHooks = { after: () => { if ((commits += 1) === kill) bench.kill(); } };
    bench.kill();
    bench.live(hooks);
    await clock.until(() => [1, 2, 3].every((n) => bench.boxes.isLive(`box-${n}`)), 60_000, "all are heard");
    commits = 0;
    await carryOut(plan());
    await clock.advance(10_000);
    bench.live();
    await clock.until(() => bench.phases()[0] === "burnt", 60_000, `its end after ${kill}`);
    t.strictSame(bench.unsound, [], `${kill}`);
  }
});

void t.test("a coordinator set back to before D: two have settled and show it, the others follow forward", async (t) => {
  const { bench, fleet, clock, absent, carryOut, finish, plan } = await begin();
  let certified: typeof bench.disk.records | undefined;
  bench.answer = (name, box, _data, ask) => {
    if (name === "reshard-activate") {
      certified ??= bench.disk.records;
      if (box.id === "box-5") {
        bench.down.add(box.id);
        return silent();
      }
    }
    return name === "reshard-settle" && !["box-1", "box-2"].includes(box.id) ? silent() : ask();
  };
  bench.resharder.order("payroll").catch(() => undefined);
  await clock.until(() => [1, 2].every((n) => fleet.box(n).held().join() === "current 2"), 60_000, "two have settled");
  bench.kill();
  bench.disk.records = certified!;
  bench.live();
  await absent(["box-5"]);
  await clock.advance(20_000);
  t.strictSame(bench.phases(), ["certified"], "who has settled says ACTIVATED no more");
  const list = ["box-5"];
  bench.answer = async (name, box, _data, ask) => {
    if (name !== "reshard-resolve" || box.id !== "box-2") return name === "reshard-settle" && !["box-1", "box-2"].includes(box.id) ? silent() : ask();
    await clock.advance(100);
    const said = await ask() as { activated: BatchActivated[] };
    return { ...said, activated: said.activated.map((one) => ({ ...one, sig: filled(64, 1) })) };
  };
  t.match(await finish((await carryOut(plan(list), list)).record), { epoch: 2, threshold: 2 });
  t.equal(bench.phases()[0], "settled");
  t.strictSame(bench.journal.all()[0]!.resolution!.answers.map(({ by, body }) => `${by} ${body.holds}`).sort().slice(0, 2), ["box-1 settled", "box-2 settled"]);
  bench.answer = (_name, _box, _data, ask) => ask();
  await clock.advance(10_000);
  t.strictSame(await fleet.combine("payroll", [3, 4]), secret);
  t.strictSame(bench.unsound, []);
});

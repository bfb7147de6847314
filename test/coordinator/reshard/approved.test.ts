import t from "tap";
import { ExchangeError } from "../../../agent/mqtt/exchange.ts";
import type { ReshardParameters } from "../../../agent/protocol/request.ts";
import { Refusal } from "../../../agent/rules/refusal.ts";
import { approve, fieldsFor, request, rules } from "../../support/reshard-approval.ts";
import { CoordinatorBench } from "../../support/reshard-coordinator.ts";
import { ReshardFleet } from "../../support/reshard-fleet.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const secret = new Uint8Array(32).fill(7);
const wanted: ReshardParameters = { threshold: 2, size: 4 };

async function begin() {
  const clock = new VirtualClock();
  const fleet = await ReshardFleet.make(clock, 5, 0, rules);
  const bench = await CoordinatorBench.start(fleet, [await fleet.addKey("payroll", secret, [1, 2, 3, 4, 5])]);
  const { approved } = bench.resharder;
  const plan = () => approved.plan("payroll", wanted, request);
  const carryOut = async (of: Awaited<ReturnType<typeof plan>>) => {
    const record = approved.carryOut(of, await approve(fleet, await fieldsFor(fleet, of, wanted)));
    record.catch(() => undefined);
    return { record };
  };
  const finish = async <T>(promise: Promise<T>): Promise<T> => {
    let done = false;
    promise.then(() => { done = true; }, () => { done = true; });
    await clock.until(() => done, 120_000, "its end");
    return await promise;
  };
  return { bench, fleet, clock, plan, carryOut, finish };
}

void t.test("the plan that was approved, and no other: journalled, carried out, in force", async (t) => {
  const { bench, fleet, plan, carryOut, finish } = await begin();
  const made = await plan();
  t.match(made.body, { reason: "order", request, nextThreshold: 2, size: 4, margin: 1, threshold: 3, holders: { length: 4 } });
  t.strictSame([bench.journal.all(), bench.sent.filter(({ name }) => name.startsWith("reshard"))], [[], []], "nobody hears of it before it is approved");
  const { record } = await carryOut(made);
  t.match(await finish(record), { epoch: 2, threshold: 2, size: 4 });
  await bench.quiet();
  t.strictSame(bench.journal.all().map(({ plan: { body }, old, phase }) => [body, old.length, phase]), [[made.body, 5, "settled"]]);
  t.strictSame(await fleet.combine("payroll", [2, 4]), secret);
  t.match(bench.status().exposures, [{ epoch: 1, threshold: 3, open: [], software: 5 }]);
  t.strictSame(bench.unsound, []);
});

void t.test("no such key, an attempt under way, and held: nobody is asked", async (t) => {
  const { bench, clock, plan } = await begin();
  await t.rejects(bench.resharder.approved.plan("nothing", wanted, request), { code: "UNKNOWN_KEY" });
  bench.answer = (name, _box, _data, ask) => (name === "reshard-join" ? new Promise(() => undefined) : ask());
  bench.resharder.order("payroll").catch(() => undefined);
  await clock.advance(10);
  await t.rejects(plan(), { code: "RESHARD_HELD", message: /under way/, retryable: true });
  const other = await begin();
  for (const box of ["box-1", "box-2", "box-3"]) other.bench.down.add(box);
  await other.clock.until(() => other.bench.boxes.hold, 60_000, "a majority is away");
  await t.rejects(other.plan(), { code: "RESHARD_HELD", message: /our-network/ });
});

void t.test("what changed while people were asked: another epoch, a used number, a hold", async (t) => {
  const first = await begin();
  const made = await first.plan();
  await first.finish(first.bench.resharder.order("payroll"));
  const late = await first.carryOut(made);
  await t.rejects(first.finish(late.record), { code: "RESHARD_FAILED", message: /while people were asked/, retryable: true });
  t.equal(first.bench.journal.all().length, 1, "it was not begun");

  const second = await begin();
  const burnt = await second.plan();
  await second.bench.keys.nextAttempt("payroll");
  await t.rejects(second.finish((await second.carryOut(burnt)).record), { code: "RESHARD_FAILED", message: /while people were asked/ });

  const third = await begin();
  const held = await third.plan();
  for (const box of ["box-1", "box-2", "box-3"]) third.bench.down.add(box);
  await third.clock.until(() => third.bench.boxes.hold, 60_000, "a majority is away");
  await t.rejects(third.finish((await third.carryOut(held)).record), { code: "RESHARD_HELD", message: /our-network/ });
});

void t.test("a box that refuses, and our own store that fails: told at once, burnt or never begun, and other keys go on", async (t) => {
  const { bench, plan, carryOut, finish } = await begin();
  bench.answer = async (name, box, _data, ask) => {
    if (name === "reshard-join" && box.id === "box-3") throw new Refusal("QUARANTINED", "evidence of a box that this one knows to be out");
    return await ask();
  };
  await t.rejects(finish((await carryOut(await plan())).record), { code: "RESHARD_FAILED", message: /box-3 refused at join: QUARANTINED/ });
  bench.answer = (_name, _box, _data, ask) => ask();
  await bench.quiet();
  t.strictSame(bench.phases(), ["burnt"]);
  t.equal((await finish(bench.resharder.order("payroll"))).epoch, 2);

  const broken = await begin();
  const made = await broken.plan();
  broken.bench.journal.put = () => Promise.reject(new Error("no disk"));
  await t.rejects(broken.finish((await broken.carryOut(made)).record), { code: "RESHARD_FAILED", message: /own store or HSM/ });
});

void t.test("one at a time: it waits for an attempt under way, but not without end; and D that does not come is said", async (t) => {
  const { bench, clock, plan, carryOut, finish } = await begin();
  const made = await plan();
  bench.answer = async (name, _box, _data, ask) => {
    if (name === "reshard-activate") throw new ExchangeError("NO_ANSWER", "silent");
    return await ask();
  };
  const { record } = await carryOut(made);
  await t.rejects(finish(record), { code: "RESHARD_HELD", message: /stored and not yet in force; it goes on by itself/ });
  t.strictSame(bench.phases(), ["certified"]);
  bench.answer = (_name, _box, _data, ask) => ask();
  await clock.until(() => bench.phases()[0] === "settled", 20_000, "D");

  const busy = await begin();
  const next = await busy.plan();
  busy.bench.answer = (name, _box, _data, ask) => (name === "reshard-deal" ? new Promise(() => undefined) : ask());
  busy.bench.resharder.order("payroll").catch(() => undefined);
  await busy.clock.advance(10);
  await t.rejects(busy.finish((await busy.carryOut(next)).record), { code: "RESHARD_HELD", message: /another attempt/ });
  t.equal(busy.bench.journal.all().length, 1);
});

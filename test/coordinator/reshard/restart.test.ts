import t from "tap";
import { ExchangeError } from "../../../agent/mqtt/exchange.ts";
import type { CommitHooks } from "../../support/memory-store.ts";
import { CoordinatorBench } from "../../support/reshard-coordinator.ts";
import { ReshardFleet } from "../../support/reshard-fleet.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const five = [1, 2, 3, 4, 5];
const secret = new Uint8Array(32).fill(9);

async function begin(): Promise<CoordinatorBench> {
  const fleet = await ReshardFleet.make(new VirtualClock(), 5);
  return await CoordinatorBench.start(fleet, [await fleet.addKey("payroll", secret, five)]);
}
const order = (bench: CoordinatorBench): Promise<unknown> => bench.resharder.order("payroll").catch(() => undefined);

/** Whatever happened: the key is whole, everybody serves the one epoch that the coordinator names, nothing else is left. */
async function requireWhole(t: { strictSame(found: unknown, wanted: unknown, what: string): unknown }, bench: CoordinatorBench, phases: readonly string[], what: string): Promise<void> {
  await bench.quiet();
  const { epoch } = bench.status();
  t.strictSame(bench.phases(), phases, what);
  t.strictSame(five.map((n) => bench.fleet.box(n).held()), five.map(() => [`current ${epoch}`]), `${what}: one epoch`);
  t.strictSame(bench.status().exposures.flatMap(({ open }) => open), [], `${what}: nothing is exposed`);
  t.strictSame(await bench.fleet.combine("payroll", [1, 3, 5]), secret, `${what}: the key`);
  t.strictSame(bench.unsound, [], `${what}: durable before said`);
}

void t.test("killed as it says each thing for the first time: it goes on where the journal is", async (t) => {
  const ends = { join: "burnt", prepare: "burnt", activate: "settled", settle: "settled" };
  for (const [step, end] of Object.entries(ends)) {
    const bench = await begin();
    let killed = false;
    bench.answer = async (name, _box, _data, ask) => {
      if (!killed && name === `reshard-${step}`) {
        killed = true;
        bench.kill();
      }
      return await ask();
    };
    void order(bench);
    await bench.fleet.clock.until(() => killed, 20_000, step);
    await bench.fleet.clock.advance(1000);
    bench.live();
    t.equal(bench.status().reshard, { join: "planned", prepare: "planned", activate: "certified", settle: null }[step], step);
    await requireWhole(t, bench, [end], step);
    t.equal(bench.status().epoch, end === "settled" ? 2 : 1);
    if (step === "join" || step === "settle") continue;
    void order(bench);
    await bench.fleet.clock.until(() => bench.status().epoch === (end === "settled" ? 3 : 2), 20_000, `${step}: and another`);
    await requireWhole(t, bench, [end, "settled"], step);
    t.strictSame(bench.journal.all().map(({ plan }) => plan.body.keys[0]!.attempt), [2, 3], "no number twice");
  }
});

void t.test("killed on the way back: the order to burn stands, P is never shown", async (t) => {
  for (const step of ["burn", "bury"]) {
    const bench = await begin();
    let killed = false;
    bench.answer = async (name, box, _data, ask) => {
      if (name === "reshard-prepare" && box.id === "box-2" && !killed) throw new ExchangeError("NO_ANSWER", "silent");
      if (!killed && name === `reshard-${step}`) {
        killed = true;
        bench.kill();
      }
      return await ask();
    };
    void order(bench);
    await bench.fleet.clock.until(() => killed, 20_000, step);
    await bench.fleet.clock.advance(1000);
    bench.live();
    t.equal(bench.status().reshard, step === "burn" ? "burning" : null);
    if (step === "burn") t.strictSame(bench.fleet.box(1).held(), ["current 1", "next 2"]);
    await requireWhole(t, bench, ["burnt"], step);
    t.equal(bench.count("reshard-activate"), 0);
  }
});

void t.test("killed before and after every commit of an attempt", async (t) => {
  // 2: planned, 3: certified, 4: settled, 5 and on: who has destroyed. The first commit is the setting up.
  for (const [when, at, phases] of [["before", 2, []], ["after", 2, ["burnt"]], ["before", 3, ["burnt"]], ["after", 3, ["settled"]], ["before", 4, ["settled"]], ["after", 4, ["settled"]], ["after", 6, ["settled"]]] as const) {
    const bench = await begin();
    let killed = false;
    const stop = (commit: number): void => {
      if (commit !== at) return;
      killed = true;
      bench.kill();
      throw new Error("killed");
    };
    const hooks: CommitHooks = when === "before" ? { before: stop } : { after: stop };
    bench.live(hooks);
    await bench.fleet.clock.advance(2000);
    void order(bench);
    await bench.fleet.clock.until(() => killed, 20_000, `${when} ${at}`);
    await bench.fleet.clock.advance(1000);
    bench.live();
    await requireWhole(t, bench, phases, `${when} ${at}`);
  }
});

void t.test("a box that was away throughout is shown its certificate after its first heartbeat, by whichever life", async (t) => {
  const bench = await begin();
  const { clock } = bench.fleet;
  bench.down.add("box-5");
  await clock.until(() => bench.status().epoch === 2, 60_000, "round box-5");
  bench.kill();
  bench.live();
  await clock.advance(10_000);
  t.strictSame(bench.status().exposures.map(({ open }) => open), [["box-5"]], "who has destroyed is remembered");
  const before = bench.count("reshard-settle");
  await clock.advance(10_000);
  t.equal(bench.count("reshard-settle"), before, "nobody is asked in vain");
  bench.down.clear();
  await bench.quiet();
  t.strictSame(bench.fleet.box(5).held().filter((one) => one.endsWith(" 1")), []);
  t.strictSame(bench.unsound, []);
});

void t.test("a store that fails is not tried without end", async (t) => {
  const bench = await begin();
  bench.live({ before: (commit) => { if (commit === 2) throw new Error("no space"); } });
  await bench.fleet.clock.advance(2000);
  void order(bench);
  await bench.fleet.clock.advance(5000);
  const failures = bench.logged.filter((line) => line.startsWith("re-shard failed")).length;
  t.ok(failures >= 8 && failures <= 12, `${failures} failures in five seconds`);
  t.strictSame(bench.sent.filter(({ name }) => name.startsWith("reshard")), [], "nothing is said by it");
});

import t from "tap";
import { Attempts } from "../../agent/box/attempts.ts";
import type { Stage } from "../../agent/rules/reshard/attempt.ts";
import { statementHash } from "../../agent/protocol/statement.ts";
import { putJson } from "../../agent/store/json.ts";
import { makePlan, refresh } from "../rules/reshard/support.ts";
import { memoryDisk, openMemoryStore } from "../support/memory-store.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const [payroll] = refresh.keys as [typeof refresh.keys[number]];
const planOf = (attempt: number, ...keys: readonly string[]) => makePlan({ keys: keys.map((key) => ({ ...payroll, key, attempt })) });

void t.test("what was put is there, also in the next life; a number is used up by whatever was heard of it", async (t) => {
  const disk = memoryDisk();
  const store = openMemoryStore(disk);
  const attempts = new Attempts(store, new VirtualClock(), 1000);
  const plan = await planOf(7, "payroll", "backup");
  t.equal(attempts.last("payroll"), 0);
  await store.commit([putJson("attempt/backup", 9)]);
  const one = { plan, stage: "joined" as const, batch: null, changed: false };
  const changes = attempts.put(one);
  t.equal(attempts.get(statementHash(plan)), undefined, "not before it is committed");
  await store.commit(changes);
  const again = new Attempts(openMemoryStore(disk), new VirtualClock(), 1000);
  for (const life of [attempts, again]) {
    t.strictSame(life.get(statementHash(plan)), one);
    t.strictSame(life.all(), [one]);
    t.strictSame(["payroll", "backup", "other"].map((key) => life.last(key)), [7, 9, 0], "a number never goes back");
  }
});

void t.test("open until a certificate is in hand", async (t) => {
  const store = openMemoryStore(memoryDisk());
  const attempts = new Attempts(store, new VirtualClock(), 1000);
  const plan = await planOf(7, "payroll", "backup");
  const openAt: Readonly<Record<Stage, boolean>> = { joined: true, renounced: true, prepared: true, withdrawn: true, activated: true, answered: true, "answered-active": true, settled: false, burnt: false };
  for (const [stage, open] of Object.entries(openAt) as [Stage, boolean][]) {
    await store.commit(attempts.put({ plan, stage, batch: null, changed: false }));
    t.strictSame([...attempts.openKeys()].sort(), open ? ["backup", "payroll"] : [], stage);
  }
});

void t.test("a change of holders counts for the window, from when it was durable or from our start", async (t) => {
  const disk = memoryDisk();
  const store = openMemoryStore(disk);
  const clock = new VirtualClock();
  const attempts = new Attempts(store, clock, 1000);
  const [one, other] = [await planOf(7, "payroll"), await planOf(3, "backup")];
  await attempts.commit(attempts.put({ plan: one, stage: "activated", batch: null, changed: true }));
  await attempts.commit(attempts.put({ plan: other, stage: "settled", batch: null, changed: false }));
  t.strictSame([...attempts.changedKeys()], ["payroll"]);
  await clock.advance(600);
  await attempts.commit(attempts.put({ plan: one, stage: "settled", batch: null, changed: true }));
  await clock.advance(399);
  t.strictSame([...attempts.changedKeys()], ["payroll"]);
  await clock.advance(1);
  t.strictSame([...attempts.changedKeys()], [], "its end began no second window");
  const again = new Attempts(openMemoryStore(disk), clock, 1000);
  t.strictSame([...again.changedKeys()], ["payroll"], "no clock of ours runs on over a restart");
  await clock.advance(1000);
  t.strictSame([...again.changedKeys()], []);
  t.strictSame([...new Attempts(openMemoryStore(disk), clock, 0).changedKeys()], [], "no window");
});

void t.test("on a slow disk a change counts from when it is durable", async (t) => {
  const clock = new VirtualClock();
  const attempts = new Attempts(openMemoryStore(memoryDisk(), { after: () => clock.advance(400) }), clock, 1000);
  await attempts.commit(attempts.put({ plan: await planOf(7, "payroll"), stage: "activated", batch: null, changed: true }));
  await clock.advance(999);
  t.strictSame([...attempts.changedKeys()], ["payroll"]);
  await clock.advance(1);
  t.strictSame([...attempts.changedKeys()], []);
});

void t.test("forgotten: what is over, past its window, and replaced for every key", async (t) => {
  const store = openMemoryStore(memoryDisk());
  const clock = new VirtualClock();
  const attempts = new Attempts(store, clock, 1000);
  const both = await planOf(7, "payroll", "backup");
  const rest = (): string[] => attempts.all().map(({ plan, stage }) => `${stage} ${plan.body.keys.map(({ key }) => key).join("+")}`);
  await attempts.commit(attempts.put({ plan: both, stage: "prepared", batch: null, changed: true }));
  await attempts.commit(attempts.prune(await planOf(8, "payroll", "backup")));
  t.strictSame(rest(), ["prepared payroll+backup"], "its certificate is still wanted");
  await attempts.commit(attempts.put({ plan: both, stage: "settled", batch: null, changed: true }));
  await attempts.commit(attempts.prune(await planOf(8, "payroll", "backup")));
  t.strictSame(rest(), ["settled payroll+backup"], "the window is not over");
  await clock.advance(1000);
  await attempts.commit(attempts.prune(await planOf(8, "payroll")));
  t.strictSame(rest(), ["settled payroll+backup"], "backup has no later one");
  await attempts.commit(attempts.prune(await planOf(8, "payroll", "backup", "third")));
  t.strictSame(rest(), []);
  t.equal(attempts.last("backup"), 7, "its number stays used up");
});

void t.test("whether any is open is told at the start of a life, and with every commit", async (t) => {
  const disk = memoryDisk();
  const told: boolean[] = [];
  const begin = (): Attempts => new Attempts(openMemoryStore(disk), new VirtualClock(), 1000, (isAnyOpen) => { told.push(isAnyOpen); });
  const plan = await planOf(7, "payroll");
  const attempts = begin();
  await attempts.commit(attempts.put({ plan, stage: "joined", batch: null, changed: false }));
  const again = begin();
  await again.commit(again.put({ plan, stage: "burnt", batch: null, changed: false }));
  t.strictSame(told, [false, true, true, false]);
});

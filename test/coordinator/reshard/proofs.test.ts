import t from "tap";
import type { Proofs } from "../../../agent/coordinator/reshard/proofs.ts";
import type { KeyRecord } from "../../../agent/protocol/key-record.ts";
import { signStatement } from "../../../agent/protocol/statement.ts";
import { resultHash } from "../../../agent/protocol/result.ts";
import { ShardkeepError } from "../../../agent/runtime/errors.ts";
import { filled, keyOf, keys } from "../../rules/support/site.ts";
import { CoordinatorBench } from "../../support/reshard-coordinator.ts";
import { ReshardFleet, site } from "../../support/reshard-fleet.ts";
import { request } from "../../support/reshard-request.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const keyCheck = new ShardkeepError("KEY_CHECK_FAILED", "not its key");
const secret = new Uint8Array(32).fill(1);

/** Two 3-of-4 keys that have lost box-4; box-5 comes: two attempts that only a use can prove. */
async function unproven() {
  const clock = new VirtualClock();
  const fleet = await ReshardFleet.make(clock, 5);
  const records: KeyRecord[] = [];
  for (const key of ["payroll", "backup"]) records.push(await fleet.addKey(key, secret, [1, 2, 3, 4]));
  const bench = await CoordinatorBench.start(fleet, records);
  bench.down.add("box-4");
  await clock.until(() => bench.phases().length === 2 && bench.phases().every((phase) => phase === "unproven"), 60_000, "all are prepared");
  return { bench, fleet, clock, record: records[0]! };
}
const epoch = ({ resharder }: CoordinatorBench): number | undefined => resharder.serving("payroll")?.epoch;
const phase = ({ journal }: CoordinatorBench): string | undefined => journal.all().find(({ plan }) => plan.body.keys[0]!.key === "payroll")?.phase;

/** An operation on the new shards, and what its enclave gave. */
async function used(fleet: ReshardFleet, record: KeyRecord, signer = "enclave"): Promise<Parameters<Proofs["proved"]>> {
  const { fields, evidence, digest } = await request(fleet, fleet.box(1), record);
  const result = { enc: filled(65, 4), ct: filled(16, 1) };
  const { sig } = await signStatement(keys[signer]!, "result", site, "enclave", { digest, result: resultHash(site, result) });
  return [{ fields, evidence }, { enclave: { seal: keyOf("stranger"), sign: keyOf("enclave") }, digest, result, sig }];
}

void t.test("one attempt a key; P is not shown before PROVED, whoever restarts", async (t) => {
  const { bench, fleet, clock } = await unproven();
  t.strictSame(bench.journal.all().map(({ plan }) => plan.body.keys.length), [1, 1]);
  t.equal(bench.status().reshard, "unproven");
  t.ok(bench.logged.some((line) => line.startsWith("re-shard unproven")));
  bench.kill();
  bench.live();
  await clock.advance(30_000);
  t.equal(phase(bench), "unproven");
  t.equal(bench.count("reshard-activate"), 0);
  const served = bench.resharder.serving("payroll")!;
  await bench.resharder.proofs.proved(...await used(fleet, served));
  await clock.until(() => bench.keys.get("payroll")?.record.epoch === 2, 10_000, "in force");
  t.ok(bench.sent.some(({ name }) => name === "reshard-activate"));
  t.strictSame(await fleet.combine("payroll", [1, 3, 5]), secret);
  t.strictSame(bench.unsound, []);
  t.equal(bench.status("backup").reshard, "unproven", "the other key waits for a use of its own");
});

void t.test("what boxes would refuse is not journalled, nor is a use of anything else", async (t) => {
  const { bench, fleet, record } = await unproven();
  const { proofs } = bench.resharder;
  await proofs.proved(...await used(fleet, bench.resharder.serving("payroll")!, "stranger"));
  t.equal(phase(bench), "unproven");
  t.ok(bench.logged.some((line) => line.startsWith("re-shard proof not kept")));
  await proofs.proved(...await used(fleet, record));
  await proofs.failed((await used(fleet, record))[0], keyCheck);
  t.equal(phase(bench), "unproven", "the present shards say nothing of the new ones");
});

void t.test("whatever else fails on the new shards: the next request is served by the present ones, the one after by the new", async (t) => {
  const { bench, fleet } = await unproven();
  t.equal(epoch(bench), 2);
  await bench.resharder.proofs.failed((await used(fleet, bench.resharder.serving("payroll")!))[0], new ShardkeepError("TIMED_OUT", "nobody came"));
  t.strictSame([epoch(bench), epoch(bench)], [1, 2]);
  t.equal(phase(bench), "unproven");
});

void t.test("too few serve the new shards: the present ones do", async (t) => {
  const { bench, clock } = await unproven();
  bench.down.add("box-5");
  await clock.advance(30_000);
  t.equal(epoch(bench), 2, "three of four");
  bench.down.add("box-3");
  await clock.advance(30_000);
  t.equal(epoch(bench), 1);
});

void t.test("not its key: burnt, held for people, and P is never shown, also where another use says the contrary at that moment", async (t) => {
  const { bench, fleet, clock } = await unproven();
  const { proofs } = bench.resharder;
  const proof = await used(fleet, bench.resharder.serving("payroll")!);
  const failed = proofs.failed(proof[0], keyCheck);
  const proved = proofs.proved(...proof);
  await t.rejects(failed, { code: "KEY_CHECK_FAILED", retryable: true, message: /the new shards of payroll/ });
  await proved;
  t.equal(phase(bench), "burning");
  await clock.until(() => phase(bench) === "burnt", 30_000, "burnt");
  await clock.advance(90_000);
  t.equal(bench.status().held, "bad-deals");
  t.equal(epoch(bench), 1);
  t.strictSame(bench.unsound, []);
  t.equal(bench.count("reshard-activate"), 0);
});

void t.test("with one old holder more it is given up for an attempt that proves itself", async (t) => {
  const { bench, clock } = await unproven();
  bench.down.delete("box-4");
  await clock.until(() => phase(bench) === "burnt", 60_000, "burnt");
  t.equal(bench.count("reshard-activate"), 0);
  await clock.advance(10_000);
  t.equal(bench.status().held, null);
  t.equal(epoch(bench), 1);
  t.strictSame(bench.unsound, []);
});

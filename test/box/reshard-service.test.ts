import t from "tap";
import type { KeyRecord } from "../../agent/protocol/key-record.ts";
import { boot, filled } from "../rules/support/site.ts";
import { HandAttempt } from "../support/reshard-attempt.ts";
import { ReshardFleet, type FleetBox } from "../support/reshard-fleet.ts";
import { request, type Request } from "../support/reshard-request.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const five = [1, 2, 3, 4, 5];
const stale = { code: "STALE_EPOCH", retryable: true };

async function begin(): Promise<{ fleet: ReshardFleet; clock: VirtualClock; record: KeyRecord; attempt: HandAttempt }> {
  const clock = new VirtualClock();
  const fleet = await ReshardFleet.make(clock, 5);
  const record = await fleet.addKey("payroll", new Uint8Array(32).fill(1), five);
  return { fleet, clock, record, attempt: await HandAttempt.of(fleet, [record]) };
}

const challenge = (box: FleetBox, { fields, evidence }: Request): Promise<string> => box.holder.challenge(fields, evidence, filled(16, 5), boot);

void t.test("before D old and current are served, each by its own record; after D current only", async (t) => {
  const { fleet, record, attempt } = await begin();
  const one = fleet.box(1);
  await t.resolves(challenge(one, await request(fleet, one, record)));
  await attempt.toPrepared();
  const [next] = attempt.records as [KeyRecord];
  await t.rejects(challenge(one, await request(fleet, one, next)), stale, "next serves nobody");
  const activated = await attempt.activate();
  await t.resolves(challenge(one, await request(fleet, one, next)));
  const old = await request(fleet, one, record);
  await t.resolves(challenge(one, old));
  await t.rejects(challenge(one, await request(fleet, one, record, { epoch: 2 })), stale, "the epoch is the record's");
  await t.rejects(challenge(one, await request(fleet, one, record, { attempt: 2 })), stale, "and so is the attempt");
  await t.rejects(challenge(one, await request(fleet, one, record, { record: filled(32, 0) })), stale);
  await t.resolves(one.holder.release(old.digest));
  await attempt.settle(activated);
  await t.rejects(challenge(one, await request(fleet, one, record)), stale);
  await t.resolves(challenge(one, await request(fleet, one, next)));
});

void t.test("what was challenged before D still gets its shard: it goes only then", async (t) => {
  const { fleet, clock, record, attempt } = await begin();
  await attempt.toPrepared();
  const activated = await attempt.activate();
  const [one, two, three] = [fleet.box(1), fleet.box(2), fleet.box(3)];
  const asked = new Map([one, two, three].map((box) => [box, request(fleet, box, record)]));
  for (const [box, made] of asked) await challenge(box, await made);
  t.strictSame((await attempt.settle(activated)).map((said) => said?.body.of ?? null), [null, null, null, "old", "old"], "DESTROY_PENDING, and not signed");
  t.strictSame([one, two, three].map((box) => box.held()), Array(3).fill(["current 2", "retired 1"]));
  await t.rejects(challenge(one, await request(fleet, one, record)), stale, "but no new one");

  await t.resolves(one.holder.release((await asked.get(one)!).digest));
  two.holder.end((await asked.get(two)!).digest);
  await clock.until(() => !one.generations.pending && !two.generations.pending, 2000, "released, or over: it goes by itself");
  t.equal(three.generations.pending, true);
  t.strictSame(await three.hsm.sealKeys(), [1]);
  await clock.until(() => !three.generations.pending, 60_000, "its time is over");
  t.strictSame([one, two, three].map((box) => box.held()), Array(3).fill(["current 2"]));
  t.strictSame((await attempt.settle(activated)).map((said) => said?.body.of), five.map(() => "old"));
  await t.rejects(three.holder.release((await asked.get(three)!).digest), { code: "STALE_REQUEST" });
});

void t.test("two requests on the old record: it waits for the last", async (t) => {
  const { fleet, clock, record, attempt } = await begin();
  await attempt.toPrepared();
  const activated = await attempt.activate();
  const one = fleet.box(1);
  const [first, second] = [await request(fleet, one, record), await request(fleet, one, record)];
  await challenge(one, first);
  await challenge(one, second);
  const [next] = attempt.records as [KeyRecord];
  const current = await request(fleet, one, next);
  await challenge(one, current);
  await attempt.settle(activated, [one]);
  await one.holder.release(first.digest);
  await clock.advance(3000);
  t.equal(one.generations.pending, true);
  await one.holder.release(second.digest);
  await clock.advance(3000);
  t.equal(one.generations.pending, false, "one on the new record does not keep it");
  await t.resolves(one.holder.release(current.digest), "and a new seal generation does not take its shard away");
});

void t.test("an operation that is over releases nothing more; one that was released stays so", async (t) => {
  const { fleet, record } = await begin();
  const one = fleet.box(1);
  const [over, released] = [await request(fleet, one, record), await request(fleet, one, record)];
  await challenge(one, over);
  one.holder.end(over.digest);
  await t.rejects(one.holder.release(over.digest), { code: "NOT_CHALLENGED" });
  await challenge(one, released);
  const shard = await one.holder.release(released.digest);
  one.holder.end(released.digest);
  t.strictSame(await one.holder.release(released.digest), shard, "the same sealed bytes may be repeated");
  one.holder.end(filled(32, 0));
});

void t.test("a box that left serves nobody", async (t) => {
  const { fleet, record } = await begin();
  const attempt = await HandAttempt.of(fleet, [record], { holders: record.holders.slice(0, 4).map(({ box, x }) => ({ box, x })) });
  await attempt.toPrepared();
  await attempt.settle(await attempt.activate());
  const left = fleet.box(5);
  await t.rejects(challenge(left, await request(fleet, left, record)), { code: "STALE_EPOCH" }, "as those who still hold it");
});

void t.test("a retired shard is not destroyed while the HSM fails, and it is said and tried again", async (t) => {
  const { fleet, clock, record, attempt } = await begin();
  await attempt.toPrepared();
  const activated = await attempt.activate();
  const one = fleet.box(1);
  await challenge(one, await request(fleet, one, record));
  await attempt.settle(activated, [one]);
  const sound = { ...one.hsm };
  one.hsm.createSealKey = () => Promise.reject(new Error("the HSM is away"));
  await clock.advance(65_000);
  t.strictSame([one.generations.pending, one.logged], [true, ["retired shards not destroyed"]]);
  Object.assign(one.hsm, sound);
  one.live();
  await clock.until(() => !one.generations.pending, 2000, "the next start finishes it");
  t.strictSame(one.held(), ["current 2"]);
});

import t from "tap";
import type { KeyRecord } from "../../agent/protocol/key-record.ts";
import { filled, member, members } from "../rules/reshard/support.ts";
import { HandAttempt } from "../support/reshard-attempt.ts";
import { ReshardFleet } from "../support/reshard-fleet.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const five = [1, 2, 3, 4, 5];
const secret = new Uint8Array(32).map((_, i) => 3 * i + 1);
const invalid = (message: RegExp) => ({ code: "CERTIFICATE_INVALID", message });
const over = { code: "ATTEMPT_OVER" };

async function begin(boxes = 5): Promise<{ fleet: ReshardFleet; record: KeyRecord }> {
  const fleet = await ReshardFleet.make(new VirtualClock(), boxes);
  return { fleet, record: await fleet.addKey("payroll", secret, five) };
}
const held = (fleet: ReshardFleet, numbers = five): string[] => numbers.map((n) => fleet.box(n).held().join(", "));
const stage = (fleet: ReshardFleet, n: number, planHash: string): string | undefined => fleet.box(n).attempts.get(planHash)?.stage;

void t.test("P: all new holders over these records, or nobody activates", async (t) => {
  const { fleet, record } = await begin();
  const attempt = await (await HandAttempt.of(fleet, [record])).toPrepared();
  const { reshards } = fleet.box(1);
  await t.rejects(reshards.activate(attempt.planHash, attempt.prepared.slice(1), null), invalid(/not every new holder/));
  t.strictSame(held(fleet, [1]), ["current 1, next 2"]);
  const joined = await HandAttempt.of(fleet, [await fleet.addKey("backup", secret, five)]);
  await joined.join();
  await t.rejects(fleet.box(1).reshards.activate(joined.planHash, attempt.prepared, null), invalid(/not every new holder/), "one that has prepared nothing");
});

void t.test("D: of this plan, by enough, for the records that were prepared here", async (t) => {
  const { fleet, record } = await begin();
  const attempt = await (await HandAttempt.of(fleet, [record])).toPrepared();
  const activated = await attempt.activate();
  await t.rejects(attempt.settle(activated.slice(2)), invalid(/too few new holders have activated/));
  t.strictSame(held(fleet), five.map(() => "current 2, old 1"), "nothing is destroyed");
  const { fleet: other, record: theirs } = await begin();
  const foreign = await (await HandAttempt.of(other, [theirs])).toPrepared();
  await t.rejects(fleet.box(1).reshards.settle({ plan: foreign.plan, batch: foreign.batch, activated: await foreign.activate() }), invalid(/too few/), "of another site's boxes");
  await attempt.settle(activated);
  t.strictSame(held(fleet), five.map(() => "current 2"));
  await t.rejects(attempt.bury(await Promise.all([])), invalid(/too few new holders have signed BURN/));
});

void t.test("a certificate for other records than those prepared here is refused", async (t) => {
  const { fleet, record } = await begin();
  const attempt = await (await HandAttempt.of(fleet, [record])).toPrepared();
  const one = fleet.box(1);
  const activated = await attempt.activate();
  // As if the others had activated a batch that this box never prepared: it can only be a forgery or another box's restored disk.
  const kept = one.attempts.get(attempt.planHash)!;
  await one.store.commit(one.attempts.put({ ...kept, batch: filled(32, 9) }));
  await t.rejects(one.reshards.settle({ plan: attempt.plan, batch: attempt.batch, activated }), invalid(/other records than those prepared here/));
  t.strictSame(one.held(), ["current 2", "old 1"]);
});

void t.test("D at boxes that were away: one that never joined, one that leaves, one that only prepared, one that signed BURN", async (t) => {
  const { fleet, record } = await begin(6);
  const attempt = await HandAttempt.of(fleet, [record], { witnesses: members(1, 2, 3, 4), holders: [...members(1, 2, 3, 4), member(6)] });
  await attempt.toPrepared();
  const activated = await attempt.activate([1, 2, 3, 6].map((n) => fleet.box(n)));
  t.equal(stage(fleet, 5, attempt.planHash), undefined, "box-5 was away");
  const destroyed = await attempt.settle(activated, [4, 5].map((n) => fleet.box(n)));
  t.strictSame(destroyed.map((one) => one?.body.of), ["old", "old"]);
  t.strictSame(held(fleet, [4, 5]), ["current 2", ""], "it catches up; who leaves holds nothing");
  t.strictSame([4, 5].map((n) => stage(fleet, n, attempt.planHash)), ["settled", "settled"]);
  t.strictSame(await fleet.combine("payroll", [1, 4, 6]), secret);

  const { fleet: second, record: theirs } = await begin();
  const hasty = await (await HandAttempt.of(second, [theirs])).toPrepared();
  await hasty.burn([second.box(5)]);
  await hasty.settle(await hasty.activate([1, 2, 3, 4].map((n) => second.box(n))));
  t.strictSame(held(second), five.map(() => "current 2"), "D shows that its BURN was not needed");
  t.strictSame(await second.combine("payroll", [3, 4, 5]), secret);
});

void t.test("the BURN certificate: next goes only with it, and who had activated returns to old", async (t) => {
  const { fleet, record } = await begin();
  const attempt = await (await HandAttempt.of(fleet, [record])).toPrepared();
  await attempt.activate([fleet.box(1)]);
  const burns = await attempt.burn([2, 3, 4].map((n) => fleet.box(n)));
  t.strictSame(held(fleet), ["current 2, old 1", ...Array<string>(4).fill("current 1, next 2")]);
  await t.rejects(attempt.bury(burns.slice(1)), invalid(/too few new holders have signed BURN/));
  t.strictSame(held(fleet), ["current 2, old 1", ...Array<string>(4).fill("current 1, next 2")]);
  const destroyed = await attempt.bury(burns);
  t.strictSame(destroyed.map((one) => one?.body), five.map(() => ({ plan: attempt.planHash, of: "next", hsm: "software" })));
  t.strictSame(held(fleet), five.map(() => "current 1"));
  t.strictSame(await fleet.combine("payroll", [1, 2, 5]), secret, "old serves on, also at the one that returned");
  await t.rejects(attempt.activate([fleet.box(5)]), over);
  t.strictSame((await attempt.bury(burns)).map((one) => one?.body.of), five.map(() => "next"), "shown again");
  t.strictSame(five.map((n) => fleet.box(n).attempts.last("payroll")), five.map(() => 2));
});

void t.test("a box that never heard of a burnt attempt is shown it: its number is used up there too", async (t) => {
  const { fleet, record } = await begin(6);
  const attempt = await HandAttempt.of(fleet, [record]);
  await attempt.join();
  const burns = await attempt.burn();
  t.strictSame((await attempt.bury(burns, [fleet.box(6)])).map((one) => one?.body.of), ["next"]);
  t.equal(fleet.box(6).attempts.last("payroll"), 2);
});

void t.test("one certificate is never taken back by the other", async (t) => {
  const { fleet, record } = await begin();
  const attempt = await (await HandAttempt.of(fleet, [record])).toPrepared();
  const five5 = [1, 2, 3, 4, 5].map((n) => fleet.box(n));
  // Two liars whose disks are put back sign both ways: both certificates exist.
  const liars = five5.slice(0, 2);
  const disks = liars.map(({ disk }) => disk.records);
  const burns = await attempt.burn(liars);
  liars.forEach((liar, i) => { liar.disk.records = disks[i]!; liar.live(); });
  const activated = await attempt.activate(five5.slice(0, 4));
  burns.push(...await attempt.burn([five5[4]!]));
  await attempt.settle(activated, [five5[0]!]);
  await t.rejects(attempt.bury(burns, [five5[0]!]), over);
  await attempt.bury(burns, [five5[4]!]);
  await t.rejects(attempt.settle(activated, [five5[4]!]), over);
});

void t.test("what is said is durable: a store that fails says nothing, and what was written is found again", async (t) => {
  const { fleet, record } = await begin();
  const one = fleet.box(1);
  const fails = { before: () => { throw new Error("no space"); } };
  const attempt = await HandAttempt.of(fleet, [record]);
  const failed = async (what: string, call: () => Promise<unknown>): Promise<void> => {
    one.live(fails);
    await t.rejects(call(), { code: "STORE_FAILED" }, what);
    one.live();
  };
  await failed("JOIN", () => one.reshards.join(attempt.plan, null, ""));
  t.equal(stage(fleet, 1, attempt.planHash), undefined);
  await attempt.toPrepared();
  await failed("ACTIVATED", () => attempt.activate([one]));
  await failed("BURN", () => attempt.burn([one]));
  t.equal(stage(fleet, 1, attempt.planHash), "prepared");
  const activated = await attempt.activate();
  await failed("DESTROYED", () => attempt.settle(activated, [one]));
  t.strictSame(one.held(), ["current 2", "old 1"]);
  // Written and not acknowledged: the next life is where the disk is.
  one.live({ after: () => { throw new Error("killed"); } });
  await t.rejects(attempt.settle(activated, [one]), { code: "STORE_FAILED" });
  t.strictSame((one.live(), one.held()), ["current 2", "retired 1"]);
  await attempt.settle(activated, [one]);
  t.strictSame(one.held(), ["current 2"]);
});

void t.test("PREPARED is signed only if the new share opens again", async (t) => {
  const { fleet, record } = await begin();
  const attempt = await HandAttempt.of(fleet, [record]);
  await attempt.join();
  await attempt.deal();
  await attempt.seal();
  await attempt.check();
  const { hsm, reshards } = fleet.box(1);
  const sound = { ...hsm };
  hsm.checkShards = ({ shards }) => Promise.resolve(shards.map(() => false));
  await t.rejects(reshards.prepare(attempt.planHash, attempt.checks), { code: "DEAL_REFUSED", message: /does not open again at box-1/ });
  Object.assign(hsm, sound);
  await t.resolves(reshards.prepare(attempt.planHash, attempt.checks));
});

void t.test("an attempt that is over, replaced and forgotten is not begun again by an order to burn it", async (t) => {
  const { fleet, record } = await begin();
  const first = await (await HandAttempt.of(fleet, [record])).toPrepared();
  await first.settle(await first.activate());
  const second = await (await HandAttempt.of(fleet, first.records)).toPrepared();
  t.equal(stage(fleet, 1, first.planHash), undefined, "pruned");
  await t.rejects(first.burn([fleet.box(1)]), over, "it has signed ACTIVATED of this plan: a restored coordinator asks");
  await second.settle(await second.activate());
  await t.rejects(second.burn([fleet.box(1)]), over);
  t.equal(fleet.box(1).attempts.last("payroll"), 3);
  const third = await HandAttempt.of(fleet, second.records);
  await t.resolves(third.burn([fleet.box(1)]), "one that is to come may be burnt unheard");
  const low = await HandAttempt.of(fleet, second.records, {}, 2);
  await t.rejects(fleet.box(2).reshards.join(low.plan, null, ""), { code: "PLAN_REFUSED" });
  await t.resolves(low.burn([fleet.box(1)]), "a restored coordinator gets on: the epoch before is still served");
});

void t.test("who left is not made to burn what it had activated", async (t) => {
  const { fleet, record } = await begin();
  const first = await (await HandAttempt.of(fleet, [record])).toPrepared();
  await first.settle(await first.activate());
  const second = await (await HandAttempt.of(fleet, first.records, { holders: members(1, 2, 3, 4) })).toPrepared();
  await second.settle(await second.activate());
  t.strictSame([fleet.box(5).held(), stage(fleet, 5, first.planHash)], [[], undefined]);
  await t.rejects(first.burn([fleet.box(5)]), over);
});

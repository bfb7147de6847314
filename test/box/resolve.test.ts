import t from "tap";
import type { Resolution } from "../../agent/protocol/reshard.ts";
import { members } from "../rules/reshard/support.ts";
import { recoverRules, recovery } from "../support/reshard-approval.ts";
import { HandAttempt } from "../support/reshard-attempt.ts";
import { ReshardFleet, type FleetBox } from "../support/reshard-fleet.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const secret = new Uint8Array(32).map((_, i) => i + 1);
const gone = ["box-5"];
const refused = (code: string, message = /./) => ({ code, message });

/** 3 of 5, prepared at all, activated at `active`; box-5 is silent. */
async function begin(active: readonly number[] = [1, 2], rules = recoverRules) {
  const fleet = await ReshardFleet.make(new VirtualClock(), 5, 0, rules);
  const record = await fleet.addKey("payroll", secret, [1, 2, 3, 4, 5]);
  const attempt = await (await HandAttempt.of(fleet, [record])).toPrepared();
  const boxes = [1, 2, 3, 4].map((n) => fleet.box(n));
  const activated = await attempt.activate(active.map((n) => fleet.box(n)));
  const bury = (resolution: Resolution, box: FleetBox) => box.reshards.bury({ plan: attempt.plan, resolution });
  const settle = (box: FleetBox, shown = activated, resolution?: Resolution) => box.reshards.settle({ plan: attempt.plan, batch: attempt.batch, activated: [...shown], ...(resolution === undefined ? {} : { resolution }) });
  const stage = (box: FleetBox) => box.attempts.get(attempt.planHash)?.stage;
  return { fleet, record, attempt, boxes, activated, bury, settle, stage };
}

void t.test("all answer old, whatever they had done, and go back by that; who is gone as well; the key opens", async (t) => {
  const { fleet, record, attempt, boxes, bury, stage } = await begin();
  const answers = await attempt.resolve(boxes, gone);
  t.strictSame(answers.map(({ by, body }) => [by, body.holds, body.gone]), boxes.map(({ id }) => [id, "old", gone]));
  t.strictSame(boxes.map(stage), ["answered-active", "answered-active", "answered", "answered"]);
  t.strictSame(fleet.box(1).held(), ["current 2", "old 1"], "nothing is given up by an answer");
  await t.rejects(bury({ gone, answers: answers.slice(1) }, fleet.box(1)), refused("CERTIFICATE_INVALID"));
  await t.rejects((await HandAttempt.of(fleet, [record], {}, 3)).join(), refused("ATTEMPT_OPEN"), "no other attempt before that");
  for (const box of fleet.boxes.values()) t.match(await bury({ gone, answers }, box), { body: { of: "next" } });
  t.strictSame([...fleet.boxes.values()].map((box) => box.held().join()), Array(5).fill("current 1"));
  t.strictSame(await fleet.combine("payroll", [1, 3, 5]), secret);
  const next = await (await HandAttempt.of(fleet, [record], {}, 3)).toPrepared();
  await next.settle(await next.activate());
  t.strictSame(await fleet.combine("payroll", [2, 4, 5]), secret, "and the next attempt comes into force");
});

void t.test("who has answered is moved by nothing else: not P, an order, nor a second list; also after a restart", async (t) => {
  const { attempt, boxes, stage } = await begin([1, 2]);
  const [one, , three] = boxes as [FleetBox, FleetBox, FleetBox];
  await attempt.resolve([one, three], gone);
  for (const box of [one, three]) {
    for (let life = 0; life < 2; life++) {
      const was = stage(box);
      const held = box.held();
      await t.rejects(attempt.activate([box]), refused("ATTEMPT_ANSWERED"), `${box.id}: P`);
      await t.rejects(attempt.burn([box]), refused("ATTEMPT_ANSWERED"), `${box.id}: an order`);
      await t.rejects(box.reshards.prepare(attempt.planHash, attempt.checks), refused("ATTEMPT_ANSWERED"));
      await t.rejects(attempt.resolve([box], ["box-4", "box-5"]), refused("ATTEMPT_ANSWERED", /box-5 gone/), `${box.id}: a second list`);
      const [again] = await attempt.resolve([box], gone);
      t.match(again!.body, { gone, holds: "old" }, "the same to the same");
      t.strictSame([stage(box), box.held()], [was, held]);
      box.live();
    }
  }
});

void t.test("D alone is not believed any more, nor BURN; with two that have settled D is", async (t) => {
  const { fleet, attempt, boxes, settle, stage } = await begin([]);
  const [one, two, three, four] = boxes as [FleetBox, FleetBox, FleetBox, FleetBox];
  const activated = await attempt.activate([one, two, three, fleet.box(5)]);
  await settle(one, activated);
  await settle(two, activated);
  const shown = await one.reshards.resolve(attempt.plan, await recovery(fleet, attempt.plan, gone));
  t.strictSame(shown.activated, activated, "who has settled shows D");
  const answers = [shown.resolved, ...await attempt.resolve([two, three, four], gone)];
  t.strictSame(answers.map(({ body }) => body.holds), ["settled", "settled", "old", "old"]);
  for (const box of [three, four]) {
    await t.rejects(settle(box, activated), refused("ATTEMPT_ANSWERED"));
    await t.rejects(settle(box, activated, { gone, answers: answers.slice(1) }), refused("ATTEMPT_ANSWERED"), "one that has settled is not enough");
    await t.rejects(settle(box, activated.slice(1), { gone, answers }), refused("CERTIFICATE_INVALID"), "nor two without D");
    await t.rejects(box.reshards.bury({ plan: attempt.plan, resolution: { gone, answers } }), refused("CERTIFICATE_INVALID"));
    await settle(box, activated, { gone, answers });
  }
  t.strictSame(boxes.map(stage), Array(4).fill("settled"));
  await t.rejects(attempt.resolve([one], ["box-4"]), refused("ATTEMPT_ANSWERED"), "also who had settled before answers one list");
  t.strictSame(await fleet.combine("payroll", [1, 3, 4]), secret);
  t.strictSame(boxes.map((box) => box.held().join()), Array(4).fill("current 2"));

  const burnt = await begin([]);
  await burnt.attempt.resolve([burnt.boxes[0]!], gone);
  const burns = await burnt.attempt.burn([2, 3, 5].map((n) => burnt.fleet.box(n)));
  await t.rejects(burnt.attempt.bury(burns, [burnt.boxes[0]!]), refused("ATTEMPT_ANSWERED"));
});

void t.test("an answer is for ever: D of that attempt moves nobody after the next one has begun, and no other list is answered", async (t) => {
  const { fleet, record, attempt, boxes, bury, settle } = await begin([1, 2, 3]);
  const activated = await attempt.activate([1, 2, 3, 5].map((n) => fleet.box(n)));
  const answers = await attempt.resolve(boxes, gone);
  for (const box of fleet.boxes.values()) await bury({ gone, answers }, box);
  await (await HandAttempt.of(fleet, [record], {}, 3)).join();
  for (const box of fleet.boxes.values()) {
    await t.rejects(settle(box, activated), refused("ATTEMPT_OVER"), `${box.id} remembers, gone or not`);
    t.strictSame(box.held(), ["current 1"]);
  }
  await t.rejects(attempt.resolve([boxes[0]!], ["box-4", "box-5"]), refused("ATTEMPT_ANSWERED"));
  await t.rejects(attempt.resolve([fleet.box(5)], ["box-4"]), refused("ATTEMPT_ANSWERED"), "what the answers made of it counts as its own");
});

void t.test("answers to another list do not move who has answered", async (t) => {
  const { fleet, attempt, boxes, bury } = await begin([1, 2, 3]);
  const list = ["box-1"];
  await attempt.resolve([boxes[0]!], gone);
  const answers = await attempt.resolve([2, 3, 4, 5].map((n) => fleet.box(n)), list);
  await t.rejects(bury({ gone: list, answers }, boxes[0]!), refused("ATTEMPT_ANSWERED"));
  const other = await begin([1, 2, 3]);
  const all = await other.attempt.activate([1, 2, 3, 5].map((n) => other.fleet.box(n)));
  await other.attempt.resolve([other.boxes[0]!], gone);
  await other.settle(other.boxes[1]!, all);
  await other.settle(other.boxes[2]!, all);
  const two = await other.attempt.resolve([other.boxes[1]!, other.boxes[2]!], list);
  await t.rejects(other.settle(other.boxes[0]!, all, { gone: list, answers: two }), refused("ATTEMPT_ANSWERED"));
});

void t.test("who is gone, and who holds nothing, does not answer; nor without people, of a plan of nobody, or of an attempt that is past", async (t) => {
  const { fleet, record, attempt, boxes } = await begin([]);
  const one = boxes[0]!;
  const approval = await recovery(fleet, attempt.plan, gone);
  const commits = one.store.head.commit;
  await t.rejects(fleet.box(5).reshards.resolve(attempt.plan, approval), refused("NOT_A_HOLDER", /not asked/));
  await t.rejects(one.reshards.resolve(attempt.plan, { ...approval, evidence: [] }), refused("NOT_PERMITTED"));
  await t.rejects(one.reshards.resolve({ ...attempt.plan, by: "box-1" }, approval), refused("PLAN_REFUSED", /not signed by the coordinator/));
  t.equal(one.store.head.commit, commits);
  const old = await HandAttempt.of(fleet, [{ ...record, epoch: 0 }]);
  await t.rejects(one.reshards.resolve(old.plan, await recovery(fleet, old.plan, gone)), refused("ATTEMPT_OVER", /is past/));
  await one.store.commit([one.shelf.remove(one.shelf.get("payroll", "current")!)]);
  await t.rejects(one.reshards.resolve(attempt.plan, approval), refused("NOT_A_HOLDER", /has lost the shards/));
  t.match((await boxes[1]!.reshards.resolve(attempt.plan, approval)).resolved.body.holds, "old");
});

void t.test("a new holder that never heard of the attempt answers too, but it takes t+1 that hold old", async (t) => {
  const fleet = await ReshardFleet.make(new VirtualClock(), 6, 0, recoverRules);
  const record = await fleet.addKey("payroll", secret, [1, 2, 3, 4, 5]);
  const attempt = await HandAttempt.of(fleet, [record], { holders: members(1, 2, 3, 4, 6) });
  await t.rejects(attempt.resolve([fleet.box(6)], ["box-1", "box-2"]), refused("PLAN_REFUSED", /3 old holders would be asked, and it takes 4/));
  const boxes = [2, 3, 4, 5, 6].map((n) => fleet.box(n));
  const resolution = { gone: ["box-1"], answers: await attempt.resolve(boxes, ["box-1"]) };
  for (const box of boxes) t.match(await box.reshards.bury({ plan: attempt.plan, resolution }), { body: { of: "next" } });
  t.strictSame(await fleet.combine("payroll", [1, 2, 5]), secret);
});

void t.test("an answer counts once towards its rule's limit", async (t) => {
  const { fleet, record, attempt, boxes, bury } = await begin([], [{ ...recoverRules[0]!, limit: "1/day" }]);
  await attempt.resolve(boxes, gone);
  const answers = await attempt.resolve(boxes, gone);
  for (const box of boxes) await bury({ gone, answers }, box);
  const next = await HandAttempt.of(fleet, [record], {}, 3);
  await t.rejects(next.resolve(boxes, gone), refused("RATE_LIMITED"), "the second one");
});

void t.test("an answer is durable before it is said", async (t) => {
  const { attempt, boxes, stage } = await begin([]);
  const one = boxes[0]!;
  one.live({ before: () => { throw new Error("no disk"); } });
  await t.rejects(attempt.resolve([one], gone), refused("STORE_FAILED"));
  one.live();
  t.equal(stage(one), "prepared");
});

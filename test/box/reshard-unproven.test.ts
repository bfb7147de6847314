import t from "tap";
import type { KeyRecord } from "../../agent/protocol/key-record.ts";
import { boot, filled } from "../rules/support/site.ts";
import { member, members } from "../rules/reshard/support.ts";
import { HandAttempt } from "../support/reshard-attempt.ts";
import { ReshardFleet, type FleetBox } from "../support/reshard-fleet.ts";
import { prove, request } from "../support/reshard-request.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

/** A 3-of-4 that has lost box-4, box-5 for it: as many witnesses as the threshold. */
async function prepared() {
  const fleet = await ReshardFleet.make(new VirtualClock(), 5);
  const record = await fleet.addKey("payroll", new Uint8Array(32).fill(1), [1, 2, 3, 4]);
  const attempt = await (await HandAttempt.of(fleet, [record], { witnesses: members(1, 2, 3), holders: [...members(1, 2, 3), member(5)], reason: "lost" })).toPrepared();
  const [next] = attempt.records as [KeyRecord];
  const asked = async (box: FleetBox, of: KeyRecord): Promise<string> => {
    const { fields, evidence } = await request(fleet, box, of);
    return await box.holder.challenge(fields, evidence, filled(16, 5), boot);
  };
  return { fleet, record, attempt, next, asked };
}
const stale = { code: "STALE_EPOCH", retryable: true };

void t.test("ACTIVATED only with PROVED; what is refused changes nothing", async (t) => {
  const { fleet, record, attempt, next } = await prepared();
  const unproven = { code: "NOT_PROVED", retryable: true };
  for (const box of attempt.holders) await t.rejects(attempt.activate([box]), unproven);
  const old = await prove(fleet, record);
  await t.rejects(attempt.activate(attempt.holders, old), unproven, "an operation on the present shards proves nothing");
  t.strictSame([1, 5].map((n) => fleet.box(n).held()), [["current 1", "next 2"], ["next 2"]]);
  const proof = await prove(fleet, next);
  await t.rejects(fleet.box(1).reshards.activate(attempt.planHash, attempt.prepared.slice(1), proof), { code: "CERTIFICATE_INVALID" }, "nor does PROVED stand for P");
  const activated = await attempt.activate(attempt.holders, proof);
  await attempt.settle(activated);
  t.strictSame([1, 5].map((n) => fleet.box(n).held()), [["current 2"], ["current 2"]]);
});

void t.test("the new shards serve a request that names them, from PREPARED on, also at who holds no present one", async (t) => {
  const { fleet, record, attempt, next, asked } = await prepared();
  const [one, five] = [fleet.box(1), fleet.box(5)];
  for (const [box, of] of [[one, record], [one, next], [five, next]] as const) await t.resolves(asked(box, of), box.id);
  const { fields, evidence, digest } = await request(fleet, one, next);
  await one.holder.challenge(fields, evidence, filled(16, 5), boot);
  await t.resolves(one.holder.release(digest));
  await attempt.burn([one]);
  await t.rejects(asked(one, next), stale, "not once this box has signed that it will not activate them");
  await t.resolves(asked(one, record));
});

void t.test("the new shards of an attempt that proves itself serve nobody", async (t) => {
  const fleet = await ReshardFleet.make(new VirtualClock(), 5);
  const record = await fleet.addKey("payroll", new Uint8Array(32).fill(1), [1, 2, 3, 4]);
  const attempt = await (await HandAttempt.of(fleet, [record])).toPrepared();
  const { fields, evidence } = await request(fleet, fleet.box(1), attempt.records[0]!);
  await t.rejects(fleet.box(1).holder.challenge(fields, evidence, filled(16, 5), boot), stale);
});

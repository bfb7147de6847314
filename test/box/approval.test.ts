import t from "tap";
import type { Approval } from "../../agent/protocol/approval.ts";
import { requestDigest, type ApprovalFields, type ReshardParameters, type UseBody } from "../../agent/protocol/request.ts";
import type { ReshardPlan } from "../../agent/protocol/reshard.ts";
import { filled, member, members } from "../rules/reshard/support.ts";
import { boot } from "../rules/support/site.ts";
import { approve, evidenceFor, fieldsFor, request, rules } from "../support/reshard-approval.ts";
import { HandAttempt } from "../support/reshard-attempt.ts";
import { ReshardFleet } from "../support/reshard-fleet.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const five = [1, 2, 3, 4, 5];
const secret = new Uint8Array(32).map((_, i) => i + 1);
const wanted: ReshardParameters = { threshold: 2, holders: ["box-1", "box-2", "box-6", "box-7"] };
const shape: Partial<ReshardPlan["body"]> = { nextThreshold: 2, size: 4, holders: [...members(1, 2), member(6), member(7)], reason: "order", request };

async function begin() {
  const clock = new VirtualClock();
  const fleet = await ReshardFleet.make(clock, 7, 60_000, rules);
  const record = await fleet.addKey("payroll", secret, five);
  const attempt = await HandAttempt.of(fleet, [record], shape);
  const fields = (change: Partial<ApprovalFields> = {}, use: Partial<UseBody> = {}) => fieldsFor(fleet, attempt.plan, wanted, change, use);
  return { clock, fleet, record, attempt, fields };
}
const refused = (code: string, message = /./) => ({ code, message });

void t.test("with it another threshold and several holders at once, within the window; the same key", async (t) => {
  const { fleet, attempt, fields } = await begin();
  await attempt.toPrepared(await approve(fleet, await fields()));
  await attempt.settle(await attempt.activate());
  t.strictSame([1, 2, 3, 4, 5, 6, 7].map((n) => fleet.box(n).held().join()), ["current 2", "current 2", "", "", "", "current 2", "current 2"]);
  for (const pair of [[1, 2], [2, 6], [6, 7]]) t.strictSame(await fleet.combine("payroll", pair), secret, pair.join());
  t.match(fleet.box(7).shelf.get("payroll", "current")!.record, { threshold: 2, size: 4, margin: 1 });
});

void t.test("without it, or with one that is not for this, box after box refuses, and nothing is kept", async (t) => {
  const { fleet, record, attempt, fields } = await begin();
  const commits = fleet.box(1).store.head.commit;
  const refuses = async (expected: ReturnType<typeof refused>, approval: Approval | null, { plan } = attempt, n = 1): Promise<void> => {
    await t.rejects(fleet.box(n).reshards.join(plan, approval, boot), expected, String(expected.message));
  };
  await refuses(refused("PLAN_REFUSED", /names a request and brings no approval/), null);
  const good = await fields();
  const approval = await approve(fleet, good);
  await refuses(refused("NOT_PERMITTED", /officer/), { fields: good, evidence: [] });
  await refuses(refused("EVIDENCE_INVALID", /finger/), { fields: good, evidence: [await evidenceFor(fleet, good, "alice")] });
  await refuses(refused("EVIDENCE_INVALID", /another request/), { fields: good, evidence: [await evidenceFor(fleet, await fields({ epoch: 3 }))] });
  await refuses(refused("PLAN_REFUSED", /approved another plan/), approval, await HandAttempt.of(fleet, [record], { ...shape, nextThreshold: 3 }));
  const other = await approve(fleet, await fields({}, { reshard: { ...wanted, threshold: 3 } }));
  await refuses(refused("PLAN_REFUSED", /not for threshold 3/), other);
  await refuses(refused("PLAN_REFUSED", /not for threshold 3/), other, attempt, 7);
  await refuses(refused("PLAN_REFUSED", /3 holders of payroll leave/), await approve(fleet, await fields({}, { reshard: { threshold: 2, size: 4 } })));
  await t.rejects(fleet.box(1).reshards.join(attempt.plan, approval, filled(16, 9)), refused("WRONG_COORDINATOR"));
  await refuses(refused("STALE_REQUEST", /no recent nonce/), await approve(fleet, await fields({ nonces: [{ box: "box-1", nonce: filled(16, 9) }] })));
  await fleet.box(1).records.quarantine("box-2", "HSM_COMPROMISED");
  await refuses(refused("QUARANTINED"), approval);
  t.equal(fleet.box(1).store.head.commit, commits + 1, "nothing but the quarantine");
});

void t.test("the floor holds also with it, and what is refused does not count", async (t) => {
  const { fleet, record } = await begin();
  const { plan } = await HandAttempt.of(fleet, [record], { nextThreshold: 3, size: 3, holders: members(1, 2, 3), reason: "order", request });
  const commits = fleet.box(1).store.head.commit;
  const approval = await approve(fleet, await fieldsFor(fleet, plan, { holders: ["box-1", "box-2", "box-3"] }));
  await t.rejects(fleet.box(1).reshards.join(plan, approval, boot), refused("PLAN_REFUSED", /below the floor/));
  t.equal(fleet.box(1).store.head.commit, commits);
});

void t.test("its time: counted from the first sight, and never longer than the nonces; a restarted box knows none", async (t) => {
  const { clock, fleet, attempt, fields } = await begin();
  const approval = await approve(fleet, await fields({ deadlineMs: 1000 }));
  fleet.box(2).live();
  await t.rejects(fleet.box(2).reshards.join(attempt.plan, approval, boot), refused("STALE_REQUEST", /no recent nonce/));
  fleet.box(3).requests.see(requestDigest(approval.fields), 1000);
  await clock.advance(1000);
  await t.rejects(fleet.box(3).reshards.join(attempt.plan, approval, boot), refused("STALE_REQUEST", /time is over/));
  await t.resolves(fleet.box(1).reshards.join(attempt.plan, approval, boot), "seen for the first time");
  await clock.advance(5 * 60_000);
  await t.rejects(fleet.box(6).reshards.join(attempt.plan, approval, boot), refused("STALE_REQUEST", /no recent nonce/));
});

void t.test("the rule's limit counts each plan that is joined, and survives a restart", async (t) => {
  const { clock, fleet, record, attempt, fields } = await begin();
  const one = fleet.box(1);
  const approval = await approve(fleet, await fields());
  await one.reshards.join(attempt.plan, approval, boot);
  await one.reshards.join(attempt.plan, approval, boot);
  await attempt.bury(await attempt.burn([1, 2, 6].map((n) => fleet.box(n))), [one]);
  const { plan } = await HandAttempt.of(fleet, [record], shape, 3);
  const second = async () => await one.reshards.join(plan, await approve(fleet, await fieldsFor(fleet, plan, wanted)), boot);
  await t.rejects(second(), refused("RATE_LIMITED"));
  one.live();
  await t.rejects(second(), refused("RATE_LIMITED"));
  await clock.advance(3_600_000);
  await t.resolves(second());
});

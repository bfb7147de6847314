import t from "tap";
import type { KeyRecord } from "../../agent/protocol/key-record.ts";
import { signStatement, statementHash } from "../../agent/protocol/statement.ts";
import { filled, member, members } from "../rules/reshard/support.ts";
import { HandAttempt } from "../support/reshard-attempt.ts";
import { ReshardFleet, site } from "../support/reshard-fleet.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const five = [1, 2, 3, 4, 5];
const secret = new Uint8Array(32).map((_, i) => i + 1);
const lost = { code: "ATTEMPT_LOST" };
const over = { code: "ATTEMPT_OVER" };
const dealRefused = (message: RegExp) => ({ code: "DEAL_REFUSED", message });

async function begin(boxes = 5, windowMs = 0): Promise<{ clock: VirtualClock; fleet: ReshardFleet; record: KeyRecord }> {
  const clock = new VirtualClock();
  const fleet = await ReshardFleet.make(clock, boxes, windowMs);
  return { clock, fleet, record: await fleet.addKey("payroll", secret, five) };
}
const held = (fleet: ReshardFleet, numbers = five): string[] => numbers.map((n) => fleet.box(n).held().join(", "));
const stages = (fleet: ReshardFleet, planHash: string, numbers = five): (string | undefined)[] => numbers.map((n) => fleet.box(n).attempts.get(planHash)?.stage);

void t.test("an attempt from PLAN to DESTROYED: the same key, other shards, the old ones gone", async (t) => {
  const { fleet, record } = await begin(6);
  const before = await Promise.all(five.map(async (n) => await fleet.box(n).share(fleet.box(n).shelf.get("payroll", "current")!)));
  const attempt = await HandAttempt.of(fleet, [record], { holders: [...members(1, 2, 3, 4), member(6)] });
  await attempt.join();
  t.strictSame(stages(fleet, attempt.planHash, [1, 5, 6]), ["joined", "joined", "joined"], "durable before it is said");
  await attempt.deal();
  await attempt.seal();
  await attempt.check();
  t.strictSame(held(fleet, [1, 6]), ["current 1", ""]);
  await attempt.prepare();
  t.strictSame(held(fleet, [1, 5, 6]), ["current 1, next 2", "current 1", "next 2"]);
  const activated = await attempt.activate();
  t.strictSame(held(fleet, [1, 5, 6]), ["current 2, old 1", "current 1", "current 2"]);
  const destroyed = await attempt.settle(activated);
  t.strictSame(held(fleet, [1, 2, 3, 4, 5, 6]), ["current 2", "current 2", "current 2", "current 2", "", "current 2"]);
  t.strictSame(destroyed.map((one) => one?.body), Array(6).fill({ plan: attempt.planHash, of: "old", hsm: "software" }));
  for (const trio of [[1, 2, 3], [2, 4, 6], [1, 3, 6]]) t.strictSame(await fleet.combine("payroll", trio), secret, trio.join());
  t.notOk((await fleet.box(1).share(fleet.box(1).shelf.get("payroll", "current")!)).every((byte, i) => byte === before[0]![i]), "another shard");
});

void t.test("every step asked again answers the same, and does nothing a second time", async (t) => {
  const { fleet, record } = await begin();
  const attempt = await HandAttempt.of(fleet, [record]);
  const again = async (step: () => Promise<unknown>, said: () => unknown): Promise<void> => {
    await step();
    const first = JSON.stringify(said());
    const commits = five.map((n) => fleet.box(n).store.head.commit);
    await step();
    t.strictSame(five.map((n) => fleet.box(n).store.head.commit), commits, `${step.name}: nothing is written again`);
    // ES256 signs anew each time where the statement is not kept; what is said is what is compared.
    t.equal(JSON.stringify(said()), first, String(step));
  };
  await again(() => attempt.join(), () => attempt.joins);
  await again(() => attempt.deal(), () => attempt.dealt);
  await again(() => attempt.seal(), () => attempt.sealed);
  await again(() => attempt.check(), () => attempt.checks);
  await again(() => attempt.prepare(), () => attempt.prepared.map(statementHash));
  let activated: Awaited<ReturnType<typeof attempt.activate>> = [];
  await again(async () => { activated = await attempt.activate(); }, () => activated.map(statementHash));
  let destroyed: Awaited<ReturnType<typeof attempt.settle>> = [];
  await again(async () => { destroyed = await attempt.settle(activated); }, () => destroyed.map((one) => one?.body));
});

void t.test("a plan is judged by what the box itself has: record, attempts, quarantine, window", async (t) => {
  const { fleet, record } = await begin(6, 60_000);
  const { reshards, records } = fleet.box(1);
  const refused = async (message: RegExp, change: Parameters<typeof HandAttempt.of>[2], number?: number): Promise<void> => {
    const { plan } = await HandAttempt.of(fleet, [record], change, number);
    await t.rejects(reshards.join(plan, null, ""), { code: "PLAN_REFUSED", message });
  };
  await refused(/attempt 1 for payroll does not follow attempt 1/, {}, 1);
  await refused(/does not follow the record/, { keys: [{ key: "payroll", version: 1, epoch: 2, attempt: 2, previous: filled(32, 0), check: record.check, imported: null }] });
  const commit = fleet.box(1).store.head.commit;
  const { plan } = await HandAttempt.of(fleet, [record]);
  const forged = { ...plan, sig: filled(64, 1) };
  await t.rejects(reshards.join(forged, null, ""), { code: "PLAN_REFUSED", message: /not signed by the coordinator/ });
  t.equal(fleet.box(1).store.head.commit, commit, "what is refused leaves nothing");
  await records.quarantine("box-6", "HSM_COMPROMISED");
  await refused(/box-6 is in quarantine/, { holders: [...members(1, 2, 3, 4), member(6)] });
  const first = await HandAttempt.of(fleet, [record], { holders: members(1, 2, 3, 4) });
  await first.toPrepared();
  await first.settle(await first.activate());
  const next = await HandAttempt.of(fleet, first.records, { holders: [...members(1, 2, 3, 4), member(5)] });
  await t.rejects(fleet.box(2).reshards.join(next.plan, null, ""), { code: "PLAN_REFUSED", message: /a short time ago/ });
  await fleet.clock.advance(60_000);
  await t.resolves(fleet.box(2).reshards.join(next.plan, null, ""));
});

void t.test("while an attempt is open no other begins for its keys; with a certificate one does", async (t) => {
  const { fleet, record } = await begin();
  const first = await (await HandAttempt.of(fleet, [record])).join();
  const second = await HandAttempt.of(fleet, [record], {}, 3);
  await t.rejects(second.join(), { code: "ATTEMPT_OPEN" });
  const burns = await first.burn();
  await t.rejects(second.join(), { code: "ATTEMPT_OPEN" }, "its own BURN is no certificate");
  await first.bury(burns);
  await second.toPrepared();
  await second.settle(await second.activate());
  t.strictSame(await fleet.combine("payroll", [1, 2, 5]), secret);
});

void t.test("a dealer deals once, to one set of JOINs, and only if it is one", async (t) => {
  const { fleet, record } = await begin();
  const attempt = await (await HandAttempt.of(fleet, [record])).join();
  await t.rejects(fleet.box(4).reshards.deal(attempt.planHash, attempt.joins), dealRefused(/does not make box-4 a dealer/));
  const { reshards } = fleet.box(1);
  await t.rejects(reshards.deal(attempt.planHash, attempt.joins.slice(1)), dealRefused(/one JOIN of everybody/));
  const identity = (n: number) => ({ sign: (message: Uint8Array) => fleet.box(n).hsm.sign("identity", message) });
  const rejoin = async (n: number) => await signStatement(identity(n), "join", site, `box-${n}`, { plan: attempt.planHash, key: attempt.joins[1]!.body.key });
  const ownExchanged = [await rejoin(1), ...attempt.joins.slice(1)];
  await t.rejects(reshards.deal(attempt.planHash, ownExchanged), dealRefused(/the JOIN of box-1 is not its own/));
  await attempt.deal();
  const other = [...attempt.joins.slice(0, 4), await rejoin(5)];
  await t.rejects(reshards.deal(attempt.planHash, other), dealRefused(/a second set of JOINs/));
});

void t.test("SEALED: own JOIN, own deal, own pieces, and one transcript", async (t) => {
  const { fleet, record } = await begin();
  const attempt = await (await (await HandAttempt.of(fleet, [record])).join()).deal();
  const { planHash, joins, deals } = attempt;
  const pieces = attempt.piecesFor("box-1");
  const { reshards } = fleet.box(1);
  const identity = (n: number) => ({ sign: (message: Uint8Array) => fleet.box(n).hsm.sign("identity", message) });
  await t.rejects(reshards.seal(planHash, joins, deals.slice(1), pieces), dealRefused(/one DEAL of everybody/));
  const join1 = await signStatement(identity(1), "join", site, "box-1", { plan: planHash, key: joins[1]!.body.key });
  await t.rejects(reshards.seal(planHash, [join1, ...joins.slice(1)], deals, pieces), dealRefused(/the JOIN of box-1 is not its own/));
  const redeal = async (n: number) => await signStatement(identity(n), "reshard-deal", site, `box-${n}`, { plan: planHash, pieces: deals[0]!.body.pieces.map((one) => ({ ...one, hash: filled(32, 0) })) });
  await t.rejects(reshards.seal(planHash, joins, [await redeal(1), ...deals.slice(1)], pieces), dealRefused(/our own deal is not the one that was dealt/));
  for (const [role, other] of [["holder", attempt.piecesFor("box-2")[1]!], ["witness", { ...pieces[1]!, witness: null }], ["holder", { ...pieces[1]!, holder: null }]] as const) {
    await t.rejects(reshards.seal(planHash, joins, deals, [pieces[0]!, other, pieces[2]!]), dealRefused(new RegExp(`the ${role}'s piece of box-2 is not the one that it signed`)));
  }
  await t.rejects(reshards.check(planHash, []), dealRefused(/box-1 has sealed no transcript/));
  await attempt.seal();
  const deal2 = await redeal(2);
  const second = [deals[0]!, deal2, deals[2]!];
  await t.rejects(reshards.seal(planHash, joins, second, pieces), dealRefused(/a second transcript for one attempt/));
  await t.rejects(fleet.box(5).reshards.seal(planHash, joins, second, attempt.piecesFor("box-5")), dealRefused(/a second transcript for one attempt/), "also at one that is no dealer");
});

void t.test("CHECK only over one's own transcript by all; PREPARED only with one's own CHECK, a good deal, and the plan's holders", async (t) => {
  const { fleet, record } = await begin(6);
  const attempt = await HandAttempt.of(fleet, [record], { holders: [...members(1, 2, 3, 4), member(6)] });
  await attempt.join();
  await attempt.deal();
  await attempt.seal();
  const { planHash, sealed } = attempt;
  await t.rejects(fleet.box(1).reshards.check(planHash, sealed.slice(1)), dealRefused(/one SEALED of everybody/));
  await attempt.check();
  const { checks } = attempt;
  await t.rejects(fleet.box(5).reshards.prepare(planHash, checks), { code: "NOT_A_HOLDER" });
  const identity = { sign: (message: Uint8Array) => fleet.box(1).hsm.sign("identity", message) };
  const lie = async (change: object) => [await signStatement(identity, "reshard-check", site, "box-1", { ...checks[0]!.body, ...change }), ...checks.slice(1)];
  await t.rejects(fleet.box(1).reshards.prepare(planHash, await lie({ witness: filled(16, 1) })), dealRefused(/the CHECK of box-1 is not among those shown/));
  await t.rejects(fleet.box(2).reshards.prepare(planHash, await lie({ witness: filled(16, 1) })), dealRefused(/not a sharing of the same keys/));
  await t.rejects(fleet.box(2).reshards.prepare(planHash, checks.slice(1)), dealRefused(/one CHECK of everybody/));
  t.strictSame(held(fleet, [1, 2, 6]), ["current 1", "current 1", ""], "nothing of it is kept");
  await attempt.prepare();
  await t.rejects(fleet.box(2).reshards.prepare(planHash, await lie({ holder: { ...checks[0]!.body.holder!, digests: [filled(32, 0)] } })), dealRefused(/box-2 has prepared other records/));
});

void t.test("a restart before PREPARED ends a box's part; after it nothing is lost", async (t) => {
  const { fleet, record } = await begin();
  const attempt = await HandAttempt.of(fleet, [record]);
  const one = fleet.box(1);
  const { plan, planHash } = attempt;
  const calls: readonly (() => Promise<unknown>)[] = [() => one.reshards.deal(planHash, []), () => one.reshards.seal(planHash, [], [], []), () => one.reshards.check(planHash, []), () => one.reshards.prepare(planHash, []), () => one.reshards.activate(planHash, [], null)];
  for (const call of calls) await t.rejects(call(), lost, "never heard of it");
  await attempt.join();
  one.live();
  await t.rejects(one.reshards.join(plan, null, ""), lost, "no second receiving key");
  await t.rejects(one.reshards.deal(planHash, attempt.joins), lost);
  const next = await HandAttempt.of(fleet, [record], {}, 3);
  await attempt.bury(await attempt.burn());
  await next.toPrepared();
  one.live();
  t.equal(statementHash(await one.reshards.prepare(next.planHash, next.checks)), statementHash(next.prepared[0]!), "PREPARED is durable");
  await next.activate([one]);
  one.live();
  t.strictSame(one.held(), ["current 2", "old 1"]);
  const activated = await next.activate();
  one.live();
  await next.settle(activated);
  t.strictSame(held(fleet), five.map(() => "current 2"));
  t.strictSame(await fleet.combine("payroll", [1, 4, 5]), secret);
});

void t.test("BURN and ACTIVATED: the first excludes the other, also after a restart", async (t) => {
  const { fleet, record } = await begin();
  const attempt = await (await HandAttempt.of(fleet, [record])).toPrepared();
  const [one, two] = [fleet.box(1), fleet.box(2)];
  await attempt.burn([one]);
  one.live();
  await t.rejects(attempt.activate([one]), over);
  await attempt.activate([two]);
  two.live();
  await t.rejects(attempt.burn([two]), over);
  t.strictSame([...one.held(), ...two.held()], ["current 1", "next 2", "current 2", "old 1"], "who burns keeps next until the certificate");
});

void t.test("the order to burn: the coordinator's plan, to a new holder, also to one that never heard of it", async (t) => {
  const { fleet, record } = await begin(6);
  const attempt = await HandAttempt.of(fleet, [record], { holders: members(1, 2, 3, 4) });
  await t.rejects(fleet.box(1).reshards.burn({ ...attempt.plan, sig: filled(64, 1) }), { code: "PLAN_REFUSED", message: /not signed by the coordinator/ });
  await t.rejects(fleet.box(5).reshards.burn(attempt.plan), { code: "NOT_A_HOLDER" });
  const burns = await attempt.burn([fleet.box(1)]);
  t.equal(burns[0]!.body.plan, attempt.planHash);
  t.strictSame(stages(fleet, attempt.planHash, [1, 5]), ["renounced", undefined]);
  await t.rejects(fleet.box(1).reshards.join(attempt.plan, null, ""), lost, "it takes no part any more");
});

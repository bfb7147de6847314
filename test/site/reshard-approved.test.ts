import t, { type Test } from "tap";
import type { z } from "zod";
import { Shelf } from "../../agent/box/shelf.ts";
import { boxRequests, clientRequests } from "../../agent/protocol/messages.ts";
import { requestDigest, type AnyFields, type ReshardParameters } from "../../agent/protocol/request.ts";
import { signStatement } from "../../agent/protocol/statement.ts";
import { toBase64url } from "../../agent/runtime/encoding.ts";
import { ShardkeepError } from "../../agent/runtime/errors.ts";
import { coordinatorId, InProcessSite, type SiteOptions } from "../support/in-process-site.ts";
import { birth, finish, reshard, touch, use } from "../support/use.ts";

type Joining = z.infer<(typeof boxRequests)["reshard-join"]["request"]>;
const rule = { key: "payroll", resource: "**", require: [{ role: "officer", people: 1 }], requester: "never", confirm: "none", distinctBoxes: true };
const rules = [{ ...rule, operations: ["create", "encrypt", "decrypt"] }, { ...rule, operations: ["reshard"], require: [{ role: "officer", people: 2 }] }];
const people = [
  { id: "alice", roles: ["officer"], boxes: ["box-1"] }, { id: "bob", roles: ["officer"], boxes: ["box-2"] }, { id: "eve", roles: ["auditor"], boxes: ["box-3"] },
];
const config = { reshardWindowMs: 0, steadyMs: 4000, reshardStepMs: 2000 };

async function withKey(options: Partial<SiteOptions> = {}): Promise<InProcessSite> {
  const site = await InProcessSite.start({ people, rules, config, reshardWindowMs: 600_000, ...options });
  const born = use(site, "cli", birth);
  await touch(site, "box-1", "alice");
  await finish(site, born);
  await site.clock.advance(6000); // spares are steady
  return site;
}

async function bothTouch(site: InProcessSite): Promise<void> {
  await touch(site, "box-1", "alice");
  await touch(site, "box-2", "bob");
}

async function approved(site: InProcessSite, wanted: ReshardParameters) {
  const asked = reshard(site, wanted);
  await bothTouch(site);
  return await finish(site, asked);
}

async function status(site: InProcessSite) {
  const { exchange } = site.clients.get("cli")!;
  return (await finish(site, exchange.request(clientRequests, "status", coordinatorId, {}), 10_000)).keys[0]!;
}

const held = (site: InProcessSite): string[] => [...site.boxes.values()].map(({ id, store }) => new Shelf(store, "test", id).all().map(({ state, record }) => `${state} ${record.epoch}`).join(", ") || "none");

async function opens(site: InProcessSite, t: Test, sealed: Uint8Array, plain: Uint8Array): Promise<void> {
  const opened = use(site, "cli", { operation: "decrypt", payload: sealed });
  await touch(site, "box-1", "alice");
  t.strictSame((await finish(site, opened)).result, plain);
}

async function seals(site: InProcessSite, plain: Uint8Array): Promise<Uint8Array> {
  const sealed = use(site, "cli", { operation: "encrypt", payload: plain });
  await touch(site, "box-1", "alice");
  return (await finish(site, sealed)).result;
}
const plain = new TextEncoder().encode("the key is the same");

void t.test("3 of 5 becomes 2 of 4 when two people approve it: no enclave, the parameters on the display, the same key", async (t) => {
  const site = await withKey();
  const sealed = await seals(site, plain);
  const enclaves = site.enclaves.length;
  const { record, code } = await approved(site, { threshold: 2, size: 4 });
  t.match(record, { epoch: 2, threshold: 2, size: 4, margin: 1, holders: { length: 4 } });
  t.equal(site.enclaves.length, enclaves, "nothing is combined");
  const shown = site.box("box-1").shown.join("\n");
  t.match(shown, /cli asks to re-shard key payroll: threshold 2, size 4/);
  t.match(shown, new RegExp(`code ${code}`));
  await site.clock.advance(10_000);
  t.strictSame(held(site), ["current 2", "current 2", "current 2", "current 2", "none"]);
  t.match(await status(site), { threshold: 2, size: 4, exposures: [{ epoch: 1, open: [] }] });
  await opens(site, t, sealed, plain);
});

void t.test("3 of 5 becomes 4 of 6 with a spare, and then 3 of 4 at boxes that are named, three of them new", async (t) => {
  const site = await withKey({ boxes: 8, config: { ...config, reshardWindowMs: 600_000 } });
  const sealed = await seals(site, plain);
  const { record } = await approved(site, { threshold: 4, size: 6 });
  t.strictSame([record.threshold, record.holders.map(({ box }) => box)], [4, ["box-1", "box-2", "box-3", "box-4", "box-5", "box-6"]]);
  await opens(site, t, sealed, plain);
  await site.clock.advance(10_000);
  const holders = ["box-2", "box-6", "box-7", "box-8"];
  const next = await approved(site, { threshold: 3, holders });
  t.strictSame([next.record.epoch, next.record.threshold, next.record.size, next.record.holders.map(({ box }) => box)], [3, 3, 4, holders], "also within the window of every box");
  await site.clock.advance(10_000);
  t.strictSame(held(site), ["none", "current 3", "none", "none", "none", "current 3", "current 3", "current 3"]);
  await opens(site, t, sealed, plain);
});

void t.test("what nobody can carry out is said before anybody is asked", async (t) => {
  const site = await withKey();
  const refused = async (wanted: ReshardParameters, code: string, message: RegExp): Promise<void> => { await t.rejects(finish(site, reshard(site, wanted)), { code, message }, JSON.stringify(wanted)); };
  await refused({ size: 6 }, "RESHARD_HELD", /no-spare/);
  await refused({ threshold: 5 }, "RESHARD_HELD", /floor/);
  await refused({ size: 3 }, "RESHARD_HELD", /floor/);
  await refused({ holders: ["box-1", "box-2", "box-3", "box-9"] }, "UNKNOWN_BOX", /box-9/);
  await finish(site, site.clients.get("cli")!.exchange.request(clientRequests, "box-pause", coordinatorId, { box: "box-4", forMs: 60_000 }));
  await refused({ holders: ["box-1", "box-2", "box-3", "box-4"], threshold: 2 }, "RESHARD_HELD", /absent box-4/);
  t.ok([...site.boxes.values()].every(({ sensor }) => !sensor.isWaiting));
  t.strictSame(held(site), Array(5).fill("current 1"));
});

void t.test("without a rule for it, and by people without the role, nothing happens", async (t) => {
  const none = await withKey({ rules: rules.slice(0, 1) });
  await t.rejects(finish(none, reshard(none, { threshold: 2 })), { code: "NOT_PERMITTED", message: /no rule lets anybody reshard payroll/ });
  const site = await withKey({ rules: [rules[0], { ...rule, operations: ["reshard"], require: [{ role: "officer", people: 1 }, { role: "auditor", people: 1 }] }] });
  const asked = reshard(site, { threshold: 2 });
  await touch(site, "box-1", "alice");
  for (let i = 0; i < 3; i++) await touch(site, "box-2", "eve");
  await t.rejects(finish(site, asked), { code: "INVALID_BIOMETRICS" });
  t.strictSame([held(site), (await status(site)).epoch], [Array(5).fill("current 1"), 1]);
});

void t.test("a box that falls silent: the approval is for that plan only, the attempt is burnt, and a second request succeeds", async (t) => {
  const site = await withKey();
  const sealed = await seals(site, plain);
  const asked = reshard(site, { threshold: 2, size: 4 });
  await touch(site, "box-1", "alice");
  site.box("box-4").setUp(false);
  await touch(site, "box-2", "bob");
  await t.rejects(finish(site, asked), { code: "RESHARD_FAILED", message: /box-4 silent at join.*this one attempt/, remedy: /ask again/, retryable: true });
  site.box("box-4").setUp(true);
  await site.clock.advance(10_000);
  t.strictSame([held(site), (await status(site)).reshard], [Array(5).fill("current 1"), null]);
  const { record } = await approved(site, { threshold: 2, size: 4 });
  t.match(record, { epoch: 2, attempt: 3, threshold: 2 });
  await opens(site, t, sealed, plain);
});

void t.test("a holder that is lost while people are asked is cut out; what they approved then follows nothing", async (t) => {
  const site = await withKey({ config: { ...config, operationMs: 120_000 } });
  const asked = reshard(site, { threshold: 2 });
  await touch(site, "box-1", "alice");
  site.box("box-5").setUp(false);
  await site.clock.until(() => held(site)[0] === "current 2", 60_000, "a re-shard round box-5");
  await touch(site, "box-2", "bob");
  await t.rejects(finish(site, asked), { code: "RESHARD_FAILED", message: /while people were asked/ });
  t.match(await status(site), { epoch: 2, threshold: 3 });
});

/** An approved plan that no box has heard of yet, in the hands of whoever owns the coordinator. */
async function seen(options: Partial<SiteOptions> = {}): Promise<{ site: InProcessSite; joining: Joining & { approval: NonNullable<Joining["approval"]> }; ask: (data: Joining, box?: string) => Promise<string> }> {
  const site = await withKey(options);
  let joining: Joining | undefined;
  let taken = false;
  const passOn = site.hub.onDelivery;
  site.hub.onDelivery = (delivery) => {
    const { body } = JSON.parse(new TextDecoder().decode(delivery.payload)) as { body: { type: string; data: Joining } };
    // Nor does it give up.
    if (body.type === "request/reshard-burn") return;
    if (taken || body.type !== "request/reshard-join") passOn(delivery);
    else joining ??= body.data;
  };
  void reshard(site, { threshold: 2, size: 4 });
  await bothTouch(site);
  await site.clock.until(() => joining !== undefined, 10_000, "JOIN");
  await site.clock.advance(100);
  taken = true;
  const ask = async (data: Joining, box = "box-1"): Promise<string> => {
    const answer = await finish(site, site.coordinatorExchange.request(boxRequests, "reshard-join", box, data), 10_000).then(() => "joined", (error: unknown) => error);
    return answer instanceof ShardkeepError ? `${answer.code as string}: ${answer.message}` : String(answer);
  };
  return { site, joining: joining as Joining & { approval: NonNullable<Joining["approval"]> }, ask };
}

void t.test("a taken-over coordinator: no evidence, too little, another plan's, another requester's", async (t) => {
  const { site, joining, ask } = await seen();
  const { plan, approval } = joining;
  const { fields, evidence } = approval;
  t.match(await ask({ plan, approval: null }), /^PLAN_REFUSED: the plan names a request/);
  t.match(await ask({ plan, approval: { fields, evidence: [] } }), /^NOT_PERMITTED/);
  t.match(await ask({ plan, approval: { fields, evidence: evidence.slice(1) } }), /^NOT_PERMITTED/);
  const sign = { sign: (message: Uint8Array) => site.coordinatorHsm.sign("identity", message) };
  const other = async (change: Partial<typeof plan.body>) => await signStatement(sign, "reshard-plan", "test", coordinatorId, { ...plan.body, ...change });
  t.match(await ask({ plan: await other({ nextThreshold: 3 }), approval }), /^PLAN_REFUSED: the people approved another plan/);
  t.match(await ask({ plan: await other({ request: null }), approval: null }), /^PLAN_REFUSED: threshold, size and margin/);
  const elsewhere = { ...fields, record: toBase64url(new Uint8Array(32)) };
  t.match(await ask({ plan, approval: { fields: elsewhere, evidence } }), /^EVIDENCE_INVALID/, "evidence of another request");
  const mine: AnyFields = { ...fields, use: { ...fields.use, by: "other" } };
  t.match(await ask({ plan, approval: { fields: mine, evidence } }), /^UNKNOWN_CLIENT/);
  t.not(requestDigest(mine), requestDigest(fields));
  t.equal(await ask(joining), "joined", "the true one is taken");
  t.equal(await ask(joining, "box-5"), "joined", "also by a box that leaves");
});

void t.test("stale: the request's time is over, the nonces too, a restarted box, another session of the coordinator", async (t) => {
  const { site, joining, ask } = await seen({ config: { ...config, operationMs: 60_000 } });
  await site.restartBox("box-4");
  await site.clock.advance(3000);
  t.match(await ask(joining, "box-4"), /^STALE_REQUEST: the request carries no recent nonce/);
  await site.clock.advance(60_000);
  t.match(await ask(joining), /^STALE_REQUEST: the request's time is over/);
  await site.clock.advance(300_000);
  t.match(await ask(joining), /^STALE_REQUEST: the request carries no recent nonce/);
  await site.startCoordinator();
  await site.clock.advance(5000);
  t.match(await ask(joining), /^WRONG_COORDINATOR/);
  t.strictSame(held(site), Array(5).fill("current 1"));
});

import t from "tap";
import { RecordKeeper } from "../../agent/box/record-keeper.ts";
import { SiteKeeper } from "../../agent/coordinator/site-keeper.ts";
import { boxRequests, clientRequests } from "../../agent/protocol/messages.ts";
import { refOf, type SiteRecord } from "../../agent/protocol/site-record.ts";
import { signStatement, statementHash } from "../../agent/protocol/statement.ts";
import { inTurn, nextBody, withFinger, withoutPerson, withRecovery, type Edit } from "../../agent/rules/record-edits.ts";
import { walkChain } from "../../agent/rules/record-step.ts";
import type { Log } from "../../agent/runtime/log.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { coordinatorId, InProcessSite, type SiteOptions } from "../support/in-process-site.ts";
import { openMemoryStore } from "../support/memory-store.ts";
import { custodians, signRecovery, thief } from "../support/recovery.ts";
import { birth, changeRecord, finish, touch, use } from "../support/use.ts";

const delayMs = 200_000;
const stepMs = delayMs / 10;
/** Two heartbeats. */
const moment = 4000;
const rule = { key: "payroll", resource: "**", operations: ["create", "encrypt"], require: [{ role: "officer", people: 1 }], requester: "never", confirm: "none", distinctBoxes: true };
const changing = { ...rule, key: "site", operations: ["record"] };
const people = [{ id: "alice", roles: ["officer"], boxes: ["box-1"] }];
const ids = ["box-1", "box-2", "box-3", "box-4", "box-5"];

interface Line { readonly event: string; readonly version?: unknown }
interface Scene { readonly site: InProcessSite; readonly lines: Line[]; readonly version: (box: string) => number; readonly left: (box: string) => Promise<number | null> }

async function start(more: Partial<SiteOptions> = {}): Promise<Scene> {
  const lines: Line[] = [];
  const note = (event: string, fields: object = {}): void => { lines.push({ event, ...fields }); };
  const log: Log = { info: note, warn: note, error: note };
  const site = await InProcessSite.start({ people, rules: [rule, changing], record: { recovery: { key: custodians.publicKey, delayMs } }, log, ...more });
  return {
    site, lines,
    version: (box) => new RecordKeeper(openMemoryStore(site.box(box).disk), silentLog).ref.version,
    left: async (box) => (await status(site)).boxes.find((one) => one.box === box)?.recoveryMs ?? null,
  };
}
const status = (site: InProcessSite) => finish(site, site.clients.get("cli")!.exchange.request(clientRequests, "status", coordinatorId, {}), 10_000);

/** Dave's thumb, enrolled at box-5 while nobody is left who could let him in. */
async function enrolDave(site: InProcessSite): Promise<Edit> {
  const asked = site.clients.get("cli")!.exchange.request(clientRequests, "finger-enrol", coordinatorId, { person: "dave", finger: "thumb", box: "box-5" }, { deadlineMs: 60_000 });
  await touch(site, "box-5", "dave-thumb");
  const { slot, template } = (await finish(site, asked)).enrolled.body;
  return withFinger("dave", ["officer"], { name: "thumb", box: "box-5", slot, template });
}
const ask = (site: InProcessSite, body: SiteRecord["body"], recovery: string, client = "cli") => finish(site, site.clients.get(client)!.exchange.request(clientRequests, "site-recover", coordinatorId, { body, recovery }));
async function recover(site: InProcessSite, edit: Edit, by = custodians) {
  const body = nextBody(site.record, edit);
  return await ask(site, body, signRecovery(site.record, body, by));
}
async function veto(site: InProcessSite, edit: Edit = withRecovery(undefined)): Promise<SiteRecord> {
  const running = changeRecord(site, "cli", edit);
  await touch(site, "box-1", "alice");
  return await finish(site, running);
}
const alarms = (lines: readonly Line[], event = "site recovery pending"): number => lines.filter((one) => one.event === event).length;

void t.test("a new officer, once every party has run for the delay; until then the old rules hold, and everybody is alarmed", async (t) => {
  const { site, lines, version, left } = await start({ clients: { cli: undefined, plain: undefined }, panels: ["box-2"] });
  const first = site.record;
  const edit = await enrolDave(site);
  await site.clock.advance(10_000);
  t.equal(site.panels.get("box-2")!.shown.at(-1), "ready");
  const body = nextBody(first, inTurn(edit, withoutPerson("alice")));
  const begun = site.clock.now();
  const told = await ask(site, body, signRecovery(first, body), "plain");
  t.match(told, { version: 2, leftMs: delayMs });
  t.match(await ask(site, body, signRecovery(first, body)), { version: 2, hash: told.hash }, "asked again for the same nothing begins anew");
  await t.rejects(recover(site, edit), { code: "RECORD_RECOVERY_PENDING" });
  await site.clock.advance(10_000);
  t.equal(alarms(lines), 1 + 5, "here and at every box");
  t.equal(site.panels.get("box-2")!.shown.at(-1), "degraded");
  const shown = await status(site);
  t.match(shown, { siteRecord: { version: 1 }, recovery: { version: 2, hash: told.hash } });
  for (const box of ids) t.ok(await left(box), `${box} says how long`);
  const { commit } = openMemoryStore(site.box("box-2").disk).head;
  await site.clock.advance(3 * stepMs);
  t.equal(openMemoryStore(site.box("box-2").disk).head.commit, commit + 3, "written once a step, not once a heartbeat");
  t.equal(alarms(lines), 4 * 6, "and alarmed");
  const born = use(site, "cli", birth);
  await touch(site, "box-1", "alice");
  await finish(site, born);
  await site.clock.advance(begun + delayMs - moment - site.clock.now());
  t.strictSame([site.record.body.version, ...ids.map(version)], [1, 1, 1, 1, 1, 1], "a moment before");
  await site.clock.advance(3 * moment);
  t.strictSame([site.record.body.version, ...ids.map(version)], [2, 2, 2, 2, 2, 2]);
  t.equal(walkChain(first, [site.record], () => false), site.record, "it proves itself");
  t.equal(alarms(lines, "site recovery in force"), 6);
  t.match(await status(site), { recovery: null, siteRecord: { version: 2 } });
  t.equal(await left("box-1"), null);
  t.equal(site.panels.get("box-2")!.shown.at(-1), "ready");
  const now = use(site, "cli", { operation: "encrypt" });
  await touch(site, "box-5", "dave-thumb");
  await finish(site, now);
  const next = changeRecord(site, "cli", (one) => ({ ...one, roles: ["officer", "auditor"] }));
  await touch(site, "box-5", "dave-thumb");
  t.equal((await finish(site, next)).body.version, 3, "and the site is changed by its new officer");
  t.strictSame(ids.map(version), [3, 3, 3, 3, 3]);
  await site.restartBox("box-2");
  await site.stopCoordinator();
  await site.startCoordinator();
  await site.clock.advance(moment);
  t.match(await status(site), { recovery: null });
  await site.clock.advance(delayMs);
  t.strictSame([site.record.body.version, version("box-2"), alarms(lines, "site recovery in force")], [3, 3, 6], "once for ever, also where they start again");
});

void t.test("what is refused changes nothing", async (t) => {
  const { site, lines } = await start();
  const before = openMemoryStore(site.coordinatorDisk).head.commit;
  const refused = async (code: string, edit: Edit, by = custodians): Promise<void> => { await t.rejects(recover(site, edit, by), { code }, code); };
  const chief: Edit = (one) => ({ ...one, roles: ["officer", "chief"] });
  await refused("RECORD_RECOVERY_FORGED", chief, thief);
  await refused("RECORD_RECOVERY_TOO_WIDE", withRecovery(undefined));
  await refused("RECORD_UNCHANGEABLE", (one) => ({ ...one, people: [] }));
  const stale = { ...nextBody(site.record, chief), version: 3 };
  await t.rejects(ask(site, stale, signRecovery(site.record, stale)), { code: "RECORD_GAP" });
  t.equal(openMemoryStore(site.coordinatorDisk).head.commit, before);
  t.equal(alarms(lines), 0);
  const keyless = await start({ record: {} });
  await t.rejects(recover(keyless.site, chief), { code: "RECORD_NOT_RECOVERABLE" });
  const open = await start({ record: { sealed: false }, clients: { cli: undefined, plain: undefined } });
  const set = (recovery: unknown) => finish(open.site, open.site.clients.get("cli")!.exchange.request(clientRequests, "recovery-key", coordinatorId, { recovery } as never));
  await t.rejects(recover(open.site, chief), { code: "RECORD_NOT_RECOVERABLE" });
  const policy = { roles: ["officer"], people: [{ id: "alice", roles: ["officer"] }], clients: [{ id: "plain", admin: false }], rules: open.site.record.body.rules };
  await finish(open.site, open.site.clients.get("cli")!.exchange.request(clientRequests, "site-apply", coordinatorId, { policy }));
  const plain = open.site.clients.get("plain")!.exchange.request(clientRequests, "recovery-key", coordinatorId, { recovery: { key: thief.publicKey, delayMs: 5000 } });
  await t.rejects(finish(open.site, plain), { code: "NOT_PERMITTED" }, "who is no administrator names no recovery key");
  t.strictSame((await set({ key: custodians.publicKey, delayMs: 5000 })).record.body.recovery, { key: custodians.publicKey, delayMs: 5000 }, "before the seal an administrator names it");
  t.strictSame((await set(null)).record.body.recovery, undefined);
  await t.rejects(finish(site, site.clients.get("cli")!.exchange.request(clientRequests, "recovery-key", coordinatorId, { recovery: null })), { code: "RECORD_SEALED" });
});

void t.test("officers veto what a thief of the cards began, and every box drops it at once", async (t) => {
  const { site, lines, version } = await start();
  const [first, edit] = [site.record, await enrolDave(site)];
  await recover(site, edit);
  const pending = new SiteKeeper(openMemoryStore(site.coordinatorDisk), site.coordinatorHsm).offer(1);
  t.match(pending, [{ body: { version: 2 } }]);
  await site.clock.advance(delayMs / 2);
  const [told] = pending as [SiteRecord];
  const authority = { sign: (message: Uint8Array) => site.coordinatorHsm.sign("authority", message) };
  const show = async (by: typeof thief): Promise<unknown> => {
    const body = { ...told.body, roles: ["officer", "chief"] };
    const next = { ...await signStatement(authority, "site-record", "test", coordinatorId, body), recovery: signRecovery(first, body, by) };
    return await finish(site, site.coordinatorExchange.request(boxRequests, "record", "box-2", { chain: [next] }));
  };
  await t.rejects(show(custodians), { code: "RECORD_RECOVERY_PENDING" }, "a box waits for one version, whatever its coordinator shows");
  await t.rejects(show(thief), { code: "RECORD_RECOVERY_FORGED" });
  t.equal((await veto(site)).body.recovery, undefined);
  t.strictSame(ids.map(version), [2, 2, 2, 2, 2]);
  t.equal(alarms(lines, "site recovery vetoed"), 6);
  t.match(await status(site), { recovery: null });
  const heard = lines.length;
  await site.clock.advance(delayMs);
  t.strictSame([site.record.body.people.map(({ id }) => id), alarms(lines.slice(heard))], [["alice"], 0], "it never comes");
  await t.rejects(recover(site, edit), { code: "RECORD_NOT_RECOVERABLE" }, "the stolen cards open nothing any more");
  await t.rejects(ask(site, pending[0]!.body, signRecovery(first, pending[0]!.body)), { code: "RECORD_FORK" });
  await t.rejects(finish(site, site.coordinatorExchange.request(boxRequests, "record", "box-2", { chain: pending })), { code: "RECORD_FORK" }, "nor by a coordinator that shows it again");
  await site.restartBox("box-3");
  await site.stopCoordinator();
  await site.startCoordinator();
  await site.clock.advance(delayMs);
  t.strictSame([site.record.body.version, version("box-3")], [2, 2]);
});

void t.test("time counts only while a box runs, and what was counted survives a restart", async (t) => {
  const { site, version, left } = await start();
  await recover(site, (one) => ({ ...one, roles: ["officer", "chief"] }));
  await site.clock.advance(3 * stepMs + moment);
  const { hash } = site.keeper.awaited!;
  site.stopBox("box-4");
  await site.clock.advance(10 * stepMs);
  await site.restartBox("box-4");
  await site.clock.advance(moment);
  const after = (await left("box-4"))!;
  t.ok(after > delayMs - 3 * stepMs - 3 * moment && after <= delayMs - 3 * stepMs, `three steps are kept, no more: ${after}`);
  // The others were through while it was off; it has seven steps before it.
  t.strictSame([site.record.body.version, version("box-1"), version("box-4")], [2, 2, 1], "each by its own time");
  t.equal((await status(site)).boxes.find(({ box }) => box === "box-4")?.siteRecord, 1);
  const offers: string[] = [];
  const plain = site.hub.onDelivery;
  site.hub.onDelivery = (delivery) => {
    if (new TextDecoder().decode(delivery.payload).includes("request/record\"")) offers.push(delivery.topic);
    plain(delivery);
  };
  await site.clock.advance(3 * moment);
  t.strictSame(offers, [], "what it waits for it is not told again");
  const chief = changeRecord(site, "cli", (one) => ({ ...one, roles: ["officer", "chief", "auditor"] }));
  await touch(site, "box-1", "alice");
  const third = await finish(site, chief);
  t.strictSame([third.body.version, version("box-1"), version("box-4")], [3, 3, 1], "the others go on; what follows waits there too");
  await site.clock.advance(7 * stepMs);
  t.equal(version("box-4"), 3);
  t.equal(new RecordKeeper(site.box("box-4").store, silentLog).current.body.previous, hash);
});

void t.test("a box that was away for all of it counts from when it hears", async (t) => {
  const { site, lines, version, left } = await start();
  site.stopBox("box-5");
  await site.clock.advance(20_000);
  await recover(site, (one) => ({ ...one, roles: ["officer", "chief"] }));
  await site.clock.advance(delayMs + moment);
  t.equal((await veto(site, (one) => ({ ...one, roles: ["officer"] }))).body.version, 3);
  await site.restartBox("box-5");
  await site.clock.advance(10_000);
  t.ok((await left("box-5"))! > delayMs - 3 * moment, "its whole delay is before it");
  await site.clock.advance(delayMs - 5 * moment);
  t.equal(version("box-5"), 1);
  await site.clock.advance(6 * moment);
  t.strictSame([version("box-5"), alarms(lines, "site record not taken")], [3, 0], "and then goes all the way");
});

void t.test("a coordinator that was away goes with the boxes once most are there", async (t) => {
  const { site, lines, version } = await start();
  site.stopBox("box-4");
  site.stopBox("box-5");
  await site.clock.advance(20_000);
  await finish(site, site.clients.get("cli")!.exchange.request(clientRequests, "box-retire", coordinatorId, { box: "box-3" }));
  const edit: Edit = (one) => ({ ...one, roles: ["officer", "chief"] });
  await recover(site, edit);
  await site.clock.advance(10_000);
  await site.stopCoordinator();
  await site.clock.advance(delayMs);
  t.strictSame(["box-1", "box-2", "box-3"].map(version), [2, 2, 2], "nobody is needed for it");
  await site.startCoordinator();
  await site.clock.advance(2 * moment);
  t.equal(site.record.body.version, 1, "two of five could be rooted ones, and the word of one in quarantine is none: its own delay goes on");
  t.equal(alarms(lines, "site record forked"), 0);
  t.match(await status(site), { recovery: { version: 2 } });
  await site.restartBox("box-4");
  await site.clock.advance(10_000);
  await site.stopCoordinator();
  await site.clock.advance(delayMs);
  await site.startCoordinator();
  await site.clock.advance(2 * moment);
  t.strictSame([site.record.body.version, ...["box-1", "box-2", "box-3", "box-4"].map(version)], [2, 2, 2, 2, 2], "three of five are there");
  t.equal(alarms(lines, "site record forked"), 0);
});

void t.test("a coordinator that dies once the version is durable, before any box has heard of it", async (t) => {
  const { site, version } = await start();
  const plain = site.hub.onDelivery;
  let isOffered = false;
  site.hub.onDelivery = (delivery) => {
    if (new TextDecoder().decode(delivery.payload).includes("request/record\"")) isOffered = true; // lost
    else plain(delivery);
  };
  const told = await recover(site, (one) => ({ ...one, roles: ["officer", "chief"] }));
  t.ok(isOffered);
  await site.stopCoordinator();
  site.hub.onDelivery = plain;
  await site.startCoordinator();
  await site.clock.advance(10_000);
  t.strictSame([site.keeper.awaited?.hash, new RecordKeeper(site.box("box-2").store, silentLog).awaited?.hash], [told.hash, told.hash]);
  await site.clock.advance(delayMs);
  t.strictSame(ids.map(version), [2, 2, 2, 2, 2]);
  t.equal(refOf(site.record).hash, told.hash);
  t.equal(statementHash(site.record), told.hash);
});

void t.test("a store that fails when the delay is over: it is tried again, and never lost", async (t) => {
  const { site, lines, version } = await start();
  const { store } = site.box("box-2");
  await recover(site, (one) => ({ ...one, roles: ["officer", "chief"] }));
  await site.clock.advance(delayMs - 5 * moment);
  const commit = store.commit.bind(store);
  Object.assign(store, { commit: () => Promise.reject(new Error("full")) });
  await site.clock.advance(6 * moment);
  t.equal(version("box-2"), 1);
  t.equal(alarms(lines, "site recovery not kept"), 1);
  Object.assign(store, { commit });
  await site.clock.advance(stepMs);
  t.equal(version("box-2"), 2);
});

import t from "tap";
import { RecordKeeper } from "../../agent/box/record-keeper.ts";
import type { Progress } from "../../agent/client/use.ts";
import { generateSigner } from "../../agent/protocol/es256.ts";
import { boxRequests, clientRequests } from "../../agent/protocol/messages.ts";
import { requestCode, requestDigest, type RequestFields } from "../../agent/protocol/request.ts";
import { refOf, type SiteRecord } from "../../agent/protocol/site-record.ts";
import { signStatement } from "../../agent/protocol/statement.ts";
import { nextBody, withClient, withFinger, withoutPerson, withReadmitted, type Edit } from "../../agent/rules/record-edits.ts";
import { walkChain } from "../../agent/rules/record-step.ts";
import { sleep } from "../../agent/runtime/clock.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { coordinatorId, InProcessSite, type SiteOptions } from "../support/in-process-site.ts";
import { openMemoryStore } from "../support/memory-store.ts";
import { birth, changeRecord, finish, touch, use } from "../support/use.ts";

const rule = { key: "payroll", resource: "**", operations: ["create", "encrypt"], require: [{ role: "officer", people: 1 }], requester: "never", confirm: "none", distinctBoxes: true };
const changing = { ...rule, key: "site", operations: ["record"], require: [{ role: "officer", people: 2 }] };
const people = [
  { id: "alice", roles: ["officer"], boxes: ["box-1"] }, { id: "bob", roles: ["officer"], boxes: ["box-2"] },
  { id: "carol", roles: ["officer"], boxes: ["box-3"] }, { id: "eve", roles: ["auditor"], boxes: ["box-4"] },
];
const start = (more: Partial<SiteOptions> = {}): Promise<InProcessSite> => InProcessSite.start({ people, rules: [rule, changing], ...more });
const versions = (site: InProcessSite): number[] => [...site.boxes.values()].map(({ store }) => new RecordKeeper(store, silentLog).ref.version);
const withoutEve = withoutPerson("eve");

async function approved(site: InProcessSite, edit: Edit, onProgress?: (progress: Progress) => void): Promise<SiteRecord> {
  const running = changeRecord(site, "cli", edit, onProgress);
  await touch(site, "box-1", "alice");
  await touch(site, "box-2", "bob");
  return await finish(site, running);
}

void t.test("two officers approve: the version comes into force everywhere, and everybody saw what it changes", async (t) => {
  const site = await start();
  const first = site.record;
  const told: Progress[] = [];
  const record = await approved(site, withoutEve, (progress) => { told.push(progress); });
  t.strictSame([record.body.version, record.body.people.map(({ id }) => id)], [2, ["alice", "bob", "carol"]]);
  t.strictSame(versions(site), [2, 2, 2, 2, 2]);
  t.equal(walkChain(first, [record], () => false), record, "it proves itself");
  const { fields } = record.approval!;
  const [accepted] = told;
  t.match(accepted, { state: "accepted", code: requestCode(requestDigest(fields)) });
  const shown = site.box("box-1").shown;
  t.match(shown, [
    "cli asks to change the site record, version 2", "- person eve: auditor", /^- finger index of eve at box-4/, "reason: test",
    `code ${requestCode(requestDigest(fields))}: touch the sensor to approve`,
  ]);
  t.strictSame(told.filter(({ state }) => state === "taken").map((one) => ("box" in one ? one.box : "")).sort(), ["box-1", "box-2", "box-3", "box-4", "box-5"]);
  const { sensor } = site.box("box-4");
  t.equal(new TextDecoder().decode(await sensor.exportTemplate({ slot: 0 })), "", "who has left the record has left the sensor");
  const born = use(site, "cli", birth);
  await touch(site, "box-1", "alice");
  t.ok(await finish(site, born), "keys are made and used under the new version");
  const again = await approved(site, (body) => ({ ...body, rules: body.rules.map((one) => ({ ...one, confirm: "code" as const })) }));
  t.strictSame([again.body.version, ...versions(site)], [3, 3, 3, 3, 3, 3]);
  const { chain } = await finish(site, site.clients.get("cli")!.exchange.request(clientRequests, "record-chain", coordinatorId, { after: 1 }));
  t.strictSame(walkChain(first, chain, () => false), again, "the chain is there for who asks");
});

void t.test("without the people nothing changes", async (t) => {
  const site = await start();
  const before = refOf(site.record);
  const one = changeRecord(site, "cli", withoutEve);
  await touch(site, "box-1", "alice");
  await t.rejects(finish(site, one), { code: "TIMED_OUT" }, "one of two");
  const stop = new AbortController();
  const cancelled = changeRecord(site, "cli", withoutEve, undefined, stop.signal);
  await touch(site, "box-1", "alice");
  stop.abort();
  await t.rejects(finish(site, cancelled), { code: "CANCELLED" });
  await site.clock.advance(5000);
  t.strictSame([refOf(site.record), ...versions(site)], [before, 1, 1, 1, 1, 1]);
});

void t.test("what can never be is refused before anybody is asked", async (t) => {
  const site = await start({ clients: { cli: undefined, alices: "alice" } });
  const refused = async (code: string, edit: Edit): Promise<void> => {
    const parts: Progress[] = [];
    await t.rejects(finish(site, changeRecord(site, "cli", edit, (part) => { parts.push(part); })), { code });
    t.strictSame(parts, [], code);
  };
  await refused("RECORD_SEALED", (body) => ({ ...body, sealed: false }));
  await refused("RECORD_UNCHANGEABLE", (body) => ({ ...body, rules: body.rules.slice(0, 1) }));
  await refused("RECORD_INVALID", withoutPerson("alice"));
  await refused("RECORD_FORGED", (body) => ({ ...body, authority: body.coordinator.key }));
  const { exchange } = site.clients.get("cli")!;
  const running = changeRecord(site, "cli", withoutEve);
  await site.clock.advance(100);
  t.ok(site.box("box-1").sensor.isWaiting);
  const seen: unknown[] = [];
  const plain = site.hub.onDelivery;
  site.hub.onDelivery = (delivery) => {
    const { body } = JSON.parse(new TextDecoder().decode(delivery.payload)) as { body: { type: string; data: unknown } };
    if (body.type === "request/record-change") seen.push(body.data);
    plain(delivery);
  };
  const other = changeRecord(site, "cli", withoutPerson("carol"));
  await site.clock.advance(100);
  const [{ use: signed, body }] = seen as [{ use: never; body: never }];
  const ask = (client: string, data: unknown) => finish(site, site.clients.get(client)!.exchange.request(clientRequests, "record-change", coordinatorId, data as never));
  await t.rejects(ask("cli", { use: signed, body }), { code: "REQUEST_REPEATED" });
  await t.rejects(ask("alices", { use: signed, body }), { code: "REQUEST_FORGED" }, "a request is its client's own");
  await t.rejects(ask("cli", { use: signed, body: nextBody(site.record, withoutEve) }), { code: "RECORD_NOT_APPROVED" }, "another version under the same signature");
  await t.rejects(finish(site, exchange.request(clientRequests, "use", coordinatorId, { use: signed })), { code: "NOT_PERMITTED" });
  await touch(site, "box-1", "alice");
  await touch(site, "box-2", "bob");
  await finish(site, running);
  await t.rejects(finish(site, other), { code: /WRONG_SITE_RECORD|TIMED_OUT|NO_SENSOR/ }, "of two changes the first that is approved is made");
  t.strictSame(site.record.body.people.map(({ id }) => id), ["alice", "bob", "carol"]);
});

void t.test("the evidence of two changes at once does not pass from one to the other", async (t) => {
  const site = await start();
  const one = changeRecord(site, "cli", withoutEve);
  await touch(site, "box-1", "alice");
  const other = changeRecord(site, "cli", withoutPerson("carol"));
  await touch(site, "box-1", "alice");
  await touch(site, "box-2", "bob");
  const record = await finish(site, one);
  await touch(site, "box-2", "bob");
  await t.rejects(finish(site, other), { code: "WRONG_SITE_RECORD", retryable: true }, "approved, but for a version that is past");
  t.strictSame([refOf(site.record), ...versions(site)], [refOf(record), 2, 2, 2, 2, 2]);
});

void t.test("a box that was away walks the chain, also over people who have left meanwhile", async (t) => {
  const site = await start();
  site.box("box-5").logic.stop();
  site.box("box-5").setUp(false);
  await site.clock.advance(20_000);
  await approved(site, (body) => ({ ...body, people: body.people.map((one) => (one.id === "eve" ? { ...one, roles: ["officer"] } : one)) }));
  const third = changeRecord(site, "cli", withoutPerson("bob"));
  await touch(site, "box-1", "alice");
  await touch(site, "box-4", "eve");
  await finish(site, third);
  t.strictSame(versions(site), [3, 3, 3, 3, 1]);
  await site.restartBox("box-5");
  await site.clock.advance(10_000);
  t.strictSame(versions(site), [3, 3, 3, 3, 3]);
});

void t.test("a coordinator that dies once the version is durable, and before any box has heard of it", async (t) => {
  const site = await start();
  const offered: SiteRecord[] = [];
  const plain = site.hub.onDelivery;
  site.hub.onDelivery = (delivery) => {
    const { body: said } = JSON.parse(new TextDecoder().decode(delivery.payload)) as { body: { type: string; data: { chain: SiteRecord[] } } };
    if (said.type === "request/record") offered.push(...said.data.chain); // lost
    else plain(delivery);
  };
  void changeRecord(site, "cli", withoutEve);
  await touch(site, "box-1", "alice");
  await touch(site, "box-2", "bob");
  await site.clock.until(() => offered.length > 0, 10_000, "it is offered");
  site.coordinator.stop();
  site.hub.onDelivery = plain;
  t.strictSame(versions(site), [1, 1, 1, 1, 1]);
  await site.startCoordinator();
  t.equal(site.record.body.version, 2);
  await site.clock.advance(10_000);
  t.strictSame(versions(site), [2, 2, 2, 2, 2]);
});

void t.test("a taken-over coordinator with the authority's key", async (t) => {
  const site = await start();
  const first = site.record;
  const second = await approved(site, withoutEve);
  const say = (...chain: SiteRecord[]) => Promise.all([...site.boxes.keys()].map((box) => finish(site, site.coordinatorExchange.request(boxRequests, "record", box, { chain })).then(() => "taken", (error: unknown) => (error as { code: string }).code)));
  const all = (code: string): string[] => [code, code, code, code, code];
  const authority = { sign: (message: Uint8Array) => site.coordinatorHsm.sign("authority", message) };
  const sign = (body: SiteRecord["body"]): Promise<SiteRecord> => signStatement(authority, "site-record", "test", coordinatorId, body);
  const third = await sign(nextBody(second, withoutPerson("carol")));
  t.strictSame(await say(first), all("RECORD_OLD"), "an old version, validly signed");
  t.strictSame(await say(third), all("RECORD_SEALED"), "a new one without evidence");
  t.strictSame(await say({ ...third, approval: second.approval }), all("WRONG_SITE_RECORD"), "with the evidence of the last");
  t.strictSame(await say(await sign({ ...second.body, rules: [rule as never] })), all("RECORD_FORK"), "another of the same version");
  t.strictSame(versions(site), [2, 2, 2, 2, 2]);
  const prompt = site.coordinatorExchange.request(boxRequests, "prompt", "box-1", { fields: second.approval!.fields, next: third.body });
  await t.rejects(finish(site, prompt), { code: "WRONG_SITE_RECORD" });
});

void t.test("a prompt for one version that shows another is refused by the box", async (t) => {
  const site = await start();
  const prompts: { fields: RequestFields; next: SiteRecord["body"] }[] = [];
  const plain = site.hub.onDelivery;
  site.hub.onDelivery = (delivery) => {
    const { body } = JSON.parse(new TextDecoder().decode(delivery.payload)) as { body: { type: string; data: { fields: RequestFields; next: SiteRecord["body"] } } };
    if (body.type === "request/prompt") prompts.push(body.data);
    plain(delivery);
  };
  const running = changeRecord(site, "cli", withoutEve);
  await site.clock.until(() => prompts.length > 0, 10_000, "a prompt");
  const [{ fields, next }] = prompts as [typeof prompts[number]];
  const ask = (data: object) => finish(site, site.coordinatorExchange.request(boxRequests, "prompt", "box-3", data as never, { deadlineMs: 2000 }), 5000);
  await t.rejects(ask({ fields, next: { ...next, rules: next.rules.slice(0, 1) } }), { code: "RECORD_NOT_APPROVED" });
  await t.rejects(ask({ fields }), { code: "RECORD_NOT_APPROVED" });
  t.notMatch(site.box("box-3").shown.join("\n"), /payroll/);
  await touch(site, "box-1", "alice");
  await touch(site, "box-2", "bob");
  await finish(site, running);
  const born = use(site, "cli", birth);
  const forKey = () => prompts.find((one) => one.fields.use.body.operation === "create");
  await site.clock.until(() => forKey() !== undefined, 10_000, "a prompt for a key");
  await t.rejects(ask({ fields: forKey()!.fields, next }), { code: "RECORD_NOT_APPROVED" }, "a request for a key shows no version");
  await touch(site, "box-1", "alice");
  await finish(site, born);
});

void t.test("only a version of the record lifts a quarantine, and evidence of before it counts for nothing", async (t) => {
  const site = await start();
  for (const box of ["box-1", "box-2", "box-4", "box-5"]) await finish(site, site.coordinatorExchange.request(boxRequests, "quarantine", box, { box: "box-3", reason: "HSM_COMPROMISED", since: 1 }));
  const keeper = (box: string) => new RecordKeeper(site.box(box).store, silentLog);
  t.ok(keeper("box-1").isQuarantined("box-3"));
  await approved(site, withoutEve);
  t.ok(keeper("box-1").isQuarantined("box-3"), "another change does not");
  await approved(site, withReadmitted("box-3"));
  t.notOk(keeper("box-1").isQuarantined("box-3"));
  t.notOk(new RecordKeeper(openMemoryStore(site.box("box-1").disk), silentLog).isQuarantined("box-3"), "for good");
  const ask = (since: number) => finish(site, site.coordinatorExchange.request(boxRequests, "quarantine", "box-1", { box: "box-3", reason: "HSM_COMPROMISED", since }));
  await ask(2);
  t.notOk(keeper("box-1").isQuarantined("box-3"), "told once more of the one that was lifted");
  await ask(3);
  t.ok(keeper("box-1").isQuarantined("box-3"), "and convicted again");
});

void t.test("a person is added to a sealed site: enrolled at a box, then taken in by those who are there", async (t) => {
  const site = await start();
  const { exchange } = site.clients.get("cli")!;
  const enrol = async (box: string, person: string): Promise<{ slot: number; template: string }> => {
    const asked = exchange.request(clientRequests, "finger-enrol", coordinatorId, { person, finger: "thumb", box }, { deadlineMs: 60_000 });
    await touch(site, box, `${person}-thumb`);
    const { enrolled } = await finish(site, asked);
    return enrolled.body;
  };
  await t.rejects(finish(site, exchange.request(clientRequests, "finger-enrol", coordinatorId, { person: "alice", finger: "index", box: "box-1" })), { code: "PERSON_EXISTS" });
  await t.rejects(finish(site, exchange.request(clientRequests, "finger-enrol", coordinatorId, { person: "dave", finger: "thumb", box: "box-9" })), { code: "UNKNOWN_BOX" });
  await t.rejects(finish(site, exchange.request(clientRequests, "person-enrol", coordinatorId, { person: "dave", finger: "thumb", box: "box-5", roles: ["officer"] })), { code: "RECORD_SEALED" });
  const { slot, template } = await enrol("box-5", "dave");
  const born = use(site, "cli", birth);
  await site.clock.advance(100);
  t.notOk(site.box("box-5").sensor.isWaiting, "until then he is nobody");
  await touch(site, "box-1", "alice");
  await finish(site, born);
  const record = await approved(site, withFinger("dave", ["officer"], { name: "thumb", box: "box-5", slot, template }));
  t.strictSame(record.body.people.at(-1), { id: "dave", roles: ["officer"], fingers: [{ name: "thumb", box: "box-5", slot, template }] });
  const now = use(site, "cli", { operation: "encrypt" });
  await touch(site, "box-5", "dave-thumb");
  t.ok(await finish(site, now), "then he counts");
  const refused = await enrol("box-5", "mallory");
  t.not(refused.slot, slot);
  await finish(site, exchange.request(clientRequests, "finger-forget", coordinatorId, { person: "mallory", finger: "thumb", box: "box-5" }));
  await finish(site, exchange.request(clientRequests, "finger-forget", coordinatorId, { person: "dave", finger: "thumb", box: "box-5" }));
  const templateAt = async (place: number): Promise<string> => new TextDecoder().decode(await site.box("box-5").sensor.exportTemplate({ slot: place }));
  t.strictSame([await templateAt(refused.slot), await templateAt(slot)], ["", "dave-thumb"], "whom no version took in is forgotten, and nobody else");
});

void t.test("what is being adopted when the time is over comes into force, and its requester hears so", async (t) => {
  const site = await start();
  const { coordinatorHsm } = site;
  const sign = coordinatorHsm.sign.bind(coordinatorHsm);
  Object.assign(coordinatorHsm, { sign: async (role: "authority" | "identity", message: Uint8Array) => {
    if (role === "authority") await sleep(site.clock, 70_000);
    return sign(role, message);
  } });
  const record = await approved(site, withoutEve);
  t.strictSame([record.body.version, ...versions(site)], [2, 2, 2, 2, 2, 2]);
});

void t.test("who is no administrator asks for no change", async (t) => {
  const site = await start({ clients: { cli: undefined, other: undefined } });
  await approved(site, (body) => ({ ...body, clients: body.clients.map((one) => (one.id === "other" ? { ...one, admin: false } : one)) }));
  await t.rejects(finish(site, changeRecord(site, "other", withoutEve)), { code: "NOT_PERMITTED", message: /no administrator/ });
  const ask = (name: "finger-enrol" | "finger-forget", client: string, box: string) => finish(site, site.clients.get(client)!.exchange.request(clientRequests, name, coordinatorId, { person: "dave", finger: "thumb", box }));
  for (const name of ["finger-enrol", "finger-forget"] as const) {
    await t.rejects(ask(name, "other", "box-5"), { code: "NOT_PERMITTED" });
    await t.rejects(ask(name, "cli", "box-9"), { code: "UNKNOWN_BOX" });
  }
});

void t.test("a client is let in by the people, and only then certified", async (t) => {
  const site = await start();
  const added = { id: "laptop", key: generateSigner().publicKey, admin: false };
  const certify = (change: object = {}) => finish(site, site.clients.get("cli")!.exchange.request(clientRequests, "client-approve", coordinatorId, { ...added, tlsKey: "PEM", ...change }));
  await t.rejects(certify(), { code: "RECORD_SEALED" });
  const record = await approved(site, withClient(added));
  t.strictSame(record.body.clients.at(-1), added);
  t.strictSame(withClient(added)(record.body), record.body, "once");
  t.strictSame(await certify(), { certificate: "", ca: "" });
  await t.rejects(certify({ key: generateSigner().publicKey }), { code: "NAME_TAKEN" });
  t.equal(site.record.body.version, 2);
});

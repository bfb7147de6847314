import t from "tap";
import { Shelf } from "../../agent/box/shelf.ts";
import { boxRequests, clientRequests } from "../../agent/protocol/messages.ts";
import { topic } from "../../agent/protocol/topics.ts";
import { signStatement } from "../../agent/protocol/statement.ts";
import { withReadmitted } from "../../agent/rules/record-edits.ts";
import type { Log } from "../../agent/runtime/log.ts";
import { getJson } from "../../agent/store/json.ts";
import { tamperLock } from "../../agent/rules/tamper.ts";
import { coordinatorId, InProcessSite, type SiteOptions } from "../support/in-process-site.ts";
import { openMemoryStore } from "../support/memory-store.ts";
import { birth, changeRecord, finish, touch, use } from "../support/use.ts";

const rules = [{ key: "payroll", resource: "**", operations: ["create", "encrypt", "decrypt"], require: [{ role: "officer", people: 1 }], requester: "never", confirm: "none", distinctBoxes: true }]
  .flatMap((one) => [one, { ...one, key: "site", operations: ["record"] }, { ...one, key: "site", operations: ["readmit"], require: [{ person: "bob" }] }]);
const people = [{ id: "alice", roles: ["officer"], boxes: ["box-1", "box-5"] }, { id: "bob", roles: ["warden"], boxes: ["box-2"] }];
const five = ["box-1", "box-2", "box-3", "box-4", "box-5"];

async function withKey(options: Partial<SiteOptions> = {}) {
  const logged: string[] = [];
  const note = (event: string, fields?: Readonly<Record<string, unknown>>): void => { logged.push(`${event} ${JSON.stringify(fields ?? {})}`); };
  const log: Log = { info: note, warn: note, error: note };
  const site = await InProcessSite.start({ people, rules, config: { reshardWindowMs: 0, steadyMs: 4000 }, panels: five, log, ...options });
  const born = use(site, "cli", birth);
  await touch(site, "box-1", "alice");
  await finish(site, born);
  return { site, logged };
}

const epoch = (site: InProcessSite, box: string): string => new Shelf(site.box(box).store, "test", box).all().map(({ state, record }) => `${state} ${record.epoch}`).join(", ") || "none";
const lockOf = (site: InProcessSite, box: string) => getJson(openMemoryStore(site.box(box).disk), "tampered", tamperLock);
const panel = (site: InProcessSite, box: string) => site.panels.get(box)!;

async function states(site: InProcessSite): Promise<string[]> {
  const { exchange } = site.clients.get("cli")!;
  return (await finish(site, exchange.request(clientRequests, "status", coordinatorId, {}), 10_000)).boxes.map(({ state }) => state);
}

async function opens(site: InProcessSite): Promise<void> {
  const sealed = use(site, "cli", { operation: "encrypt" });
  await touch(site, "box-1", "alice");
  await finish(site, sealed);
}

/** Under the rule of its own, which no officer meets. */
async function readmit(site: InProcessSite, box: string): Promise<void> {
  const change = changeRecord(site, "cli", withReadmitted(box));
  await touch(site, "box-2", "bob");
  await finish(site, change);
}

void t.test("a case that was opened while the agent was dead: locked at its return, cut out, its seal key destroyed by the certificate; readmitted it holds again", async (t) => {
  const { site, logged } = await withKey();
  site.stopBox("box-5");
  panel(site, "box-5").open();
  panel(site, "box-5").close();
  await site.restartBox("box-5");
  t.match(logged.filter((line) => line.startsWith("tampered: locked")), [/"cause":"opened"/]);
  t.match(await site.box("box-5").hsm.sealKeys(), [1], "nothing is destroyed by itself");
  await site.clock.until(() => epoch(site, "box-5") === "none", 60_000, "box-5 is cut out");
  t.strictSame(await states(site), ["ready", "ready", "ready", "ready", "quarantined"]);
  t.match(logged.filter((line) => line.startsWith("quarantine {")), [/"box":"box-5","reason":"TAMPERED"/]);
  await site.clock.advance(10_000);
  t.strictSame(await site.box("box-5").hsm.sealKeys(), [2]);
  await opens(site);
  t.match(lockOf(site, "box-5"), { counter: 1, since: 1, acknowledged: 1 });

  await readmit(site, "box-5");
  await site.clock.until(() => epoch(site, "box-5").startsWith("current"), 120_000, "box-5 is a holder again");
  t.strictSame([lockOf(site, "box-5"), panel(site, "box-5").status.tamper?.latched, panel(site, "box-5").status.tamper?.counter], [undefined, false, 2]);
  t.strictSame(await states(site), five.map(() => "ready"));
  t.notOk(logged.some((line) => line.startsWith("quarantine not told")), "nor is it told of a quarantine that it was in");
});

void t.test("a running prompt ends at once and nothing of it counts; what a locked box is asked it refuses, also after a restart", async (t) => {
  const { site } = await withKey();
  void use(site, "cli", { operation: "encrypt" });
  const { sensor } = site.box("box-5");
  await site.clock.until(() => sensor.isWaiting, 10_000, "a prompt");
  panel(site, "box-5").open();
  await site.clock.advance(100);
  t.notOk(sensor.isWaiting, "taken back");
  await site.restartBox("box-5");
  await site.clock.advance(5000);
  const ask = (name: "release" | "enrol", data: never): Promise<unknown> => finish(site, site.coordinatorExchange.request(boxRequests, name, "box-5", data, { deadlineMs: 5000 }), 10_000);
  await t.rejects(ask("release", { digest: "A".repeat(43) } as never), { code: "TAMPERED" });
  await t.rejects(ask("enrol", { person: "alice", finger: "thumb" } as never), { code: "TAMPERED" }, "before anything is begun");
  panel(site, "box-5").plug(false);
  await site.restartBox("box-5");
  await site.clock.advance(5000);
  await t.rejects(ask("release", { digest: "A".repeat(43) } as never), { code: "TAMPERED" }, "durable: the panel is not asked");
});

void t.test("what was begun before the case was opened does not leave after it", async (t) => {
  let hold = false;
  let go: () => void = () => undefined;
  const { site } = await withKey({
    hsm: (box, hsm) => (box !== "box-5" ? hsm : {
      ...hsm, sign: async (...args) => {
        const made = await hsm.sign(...args);
        if (hold) await new Promise<void>((resolve) => { go = resolve; });
        return made;
      },
    }),
  });
  void use(site, "cli", { operation: "encrypt" });
  const { sensor } = site.box("box-5");
  await site.clock.until(() => sensor.isWaiting, 10_000, "a prompt");
  hold = true;
  let attested = false;
  const plain = site.hub.onDelivery;
  site.hub.onDelivery = (delivery) => {
    const text = new TextDecoder().decode(delivery.payload);
    if (text.includes('"response/prompt"') && text.includes('"evidence"') && text.includes('"by":"box-5"')) attested = true;
    plain(delivery);
  };
  sensor.touch("alice");
  await site.clock.advance(10);
  panel(site, "box-5").open();
  hold = false;
  go();
  await site.clock.advance(1000);
  t.notOk(attested);
});

void t.test("told while the coordinator is away, it is told again; it is not lifted by what was approved before", async (t) => {
  const { site } = await withKey();
  await site.stopCoordinator();
  panel(site, "box-5").open();
  await site.clock.advance(30_000);
  t.match(lockOf(site, "box-5"), { acknowledged: null });
  await site.startCoordinator();
  await site.clock.until(() => lockOf(site, "box-5")?.acknowledged === 1, 30_000, "it is noted");
  t.match(await states(site), ["ready", "ready", "ready", "ready", "quarantined"]);
  await readmit(site, "box-5");
  await site.clock.advance(10_000);
  t.match(lockOf(site, "box-5"), { counter: 1 }, "the lid is open");
  panel(site, "box-5").open();
  panel(site, "box-5").close();
  await site.clock.advance(10_000);
  t.match([lockOf(site, "box-5"), (await states(site)).at(-1)], [{ counter: 2, acknowledged: 2 }, "quarantined"], "another opening, another quarantine");
});

void t.test("three of five at once: the third is held and alarmed once, also by a coordinator that was restarted", async (t) => {
  const { site, logged } = await withKey();
  for (const box of ["box-3", "box-4", "box-5"]) panel(site, box).open();
  for (const alarms of [1, 2]) {
    await site.clock.advance(10_000);
    t.equal((await states(site)).filter((state) => state === "quarantined").length, 2);
    t.equal(logged.filter((line) => line.startsWith("majority tampered")).length, alarms);
    await site.stopCoordinator();
    await site.startCoordinator();
  }
  for (const box of ["box-3", "box-4", "box-5"]) t.match(lockOf(site, box), { acknowledged: 1 }, "each knows that it was heard");
});

void t.test("a tamper event that the box did not sign: nobody is put out", async (t) => {
  const { site, logged } = await withKey();
  const { hsm, exchange } = site.box("box-4");
  const counter = 1;
  const made = async (by: string, of = hsm) => ({ what: "tampered", acknowledged: null, tampered: await signStatement({ sign: (message) => of.sign("identity", message) }, "tampered", "test", by, { counter, cause: "opened" as const, since: 1 }) });
  const tell = async (data: object): Promise<void> => {
    await exchange.tell(topic({ kind: "box", box: "box-4", direction: "up", what: "event" }), "event", data, { to: coordinatorId });
    await site.clock.advance(100);
  };
  await tell(await made("box-5", site.box("box-5").hsm)); // a true one, of another box
  await tell(await made("box-4", site.box("box-5").hsm));
  await tell(await made("box-5"));
  t.strictSame([await states(site), logged.filter((line) => line.startsWith("tamper event forged")).length], [five.map(() => "ready"), 3]);
  await tell(await made("box-4"));
  t.equal((await states(site))[3], "quarantined");
});

void t.test("the word of its own quarantine locks nothing, and is believed only of the opening that it names", async (t) => {
  const { site } = await withKey();
  const ask = (more: object): Promise<unknown> => finish(site, site.coordinatorExchange.request(boxRequests, "quarantine", "box-5", { box: "box-5", reason: "TAMPERED", since: 9, ...more }, { deadlineMs: 5000 }), 10_000);
  await t.rejects(ask({}), { code: "QUARANTINED" });
  await t.rejects(ask({ counter: 1 }), { code: "QUARANTINED" });
  t.equal(lockOf(site, "box-5"), undefined);
  panel(site, "box-5").open();
  await site.clock.advance(5000);
  await t.rejects(ask({ counter: 2 }), { code: "QUARANTINED" });
  await ask({ counter: 1 });
  t.match(lockOf(site, "box-5"), { acknowledged: 1 }, "noted once");
});

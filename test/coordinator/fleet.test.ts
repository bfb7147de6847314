import t from "tap";
import { coordinatorConfig } from "../../agent/coordinator/config.ts";
import { Fleet } from "../../agent/coordinator/fleet.ts";
import type { CoordinatorParts } from "../../agent/coordinator/parts.ts";
import { inventoryHash, type Holding } from "../../agent/protocol/heartbeat.ts";
import { refOf, type SiteRecord } from "../../agent/protocol/site-record.ts";
import { ShardkeepError } from "../../agent/runtime/errors.ts";
import type { Log } from "../../agent/runtime/log.ts";
import { systemRandom } from "../../agent/runtime/random.ts";
import { body, filled, record } from "../rules/support/site.ts";
import { memoryDisk, openMemoryStore } from "../support/memory-store.ts";
import { settle, VirtualClock } from "../support/virtual-clock.ts";

const beat = (counter: number, change: object = {}) => ({
  counter, nonce: filled(16, counter), siteRecord: refOf(record), hsm: { ok: true, backing: "software" }, sensor: { state: "ready", emulated: true },
  inventory: filled(32, 1), verified: null, uptimeS: 1, version: "1", ...change,
});
const holding: Holding = { key: "payroll", epoch: 1, attempt: 1, record: filled(32, 2), state: "current" };
const holds = (box: string, ...holdings: Holding[]) => ({ holdings, inventory: inventoryHash("demo", box, holdings) });
const work = { mac: filled(32, 3), inventory: filled(32, 1), verified: null };

const siteOf = (one: SiteRecord) => ({ current: one, ref: refOf(one), horizon: one.body.version, offer: () => [one], awaited: undefined, kindOf: (name: string) => (one.body.boxes.some(({ id }) => id === name) ? "box" : undefined) });

/** `answers` says what a probe of that box comes to; the others take every request. */
function scene(change: object = {}) {
  const clock = new VirtualClock();
  const disk = memoryDisk();
  const asked: [string, string][] = [];
  const logged: string[] = [];
  const note = (event: string): void => { logged.push(event); };
  const log: Log = { info: note, warn: note, error: note };
  const answers = new Map<string, unknown>();
  const hsm = { verifyMac: () => Promise.resolve(true), selfTest: () => Promise.resolve() };
  const config = coordinatorConfig.parse({ site: "demo", state: "/nowhere", hsm: { module: "/m", token: "t", pinFile: "/p" }, broker: { url: "mqtts://x:1" }, ...change });
  const parts = {
    clock, log, hsm, config, store: openMemoryStore(disk), random: systemRandom,
    site: siteOf(record),
    exchange: {
      request: (_table: unknown, name: string, box: string) => {
        asked.push([name, box]);
        if (name !== "probe") return Promise.resolve(name === "record" ? refOf(record) : {});
        const answer = answers.get(box);
        if (answer instanceof Promise) return answer;
        return answer === undefined ? Promise.reject(new ShardkeepError("NO_ANSWER", "silent")) : Promise.resolve(answer);
      },
    },
  } as unknown as CoordinatorParts;
  const lost: string[] = [];
  const make = (): Fleet => {
    const fleet = new Fleet(parts);
    fleet.onLost((box) => { lost.push(box); });
    return fleet;
  };
  const fleet = make();
  let counter = 0;
  /** Moves the clock in steps of two seconds, in each of which `boxes` beat. */
  const live = async (ms: number, boxes: readonly string[], of = fleet): Promise<void> => {
    for (let at = 0; at < ms; at += 2000) {
      counter += 1;
      for (const box of boxes) of.heard(box, "boot", beat(counter));
      await clock.advance(2000);
      of.tick();
      await settle();
    }
  };
  return { clock, asked, logged, answers, hsm, parts, fleet, make, live, lost };
}
const all = ["box-1", "box-2", "box-3"];

void t.test("a heartbeat counts once and in order within a boot; a malformed one not at all", async (t) => {
  const { fleet, clock, asked } = scene();
  const heard: unknown[] = [];
  fleet.onHeard((...args) => { heard.push(args); });
  fleet.heard("box-1", "boot-a", beat(5, holds("box-1", holding)));
  t.strictSame([fleet.nonceOf("box-1"), fleet.isLive("box-1"), fleet.live()], [filled(16, 5), true, ["box-1"]]);
  await clock.advance(7000);
  fleet.tick();
  for (const data of [beat(5), beat(4), beat(9, { nonce: "short" }), { counter: 9 }, null]) fleet.heard("box-1", "boot-a", data);
  t.strictSame([fleet.nonceOf("box-1"), fleet.liveness("box-1"), heard.length], [filled(16, 5), "suspect", 1]);
  fleet.heard("box-1", "boot-a", beat(6, { inventory: holds("box-1", holding).inventory }));
  t.strictSame([fleet.nonceOf("box-1"), fleet.liveness("box-1"), fleet.holdingsOf("box-1")], [filled(16, 6), "ready", [holding]]);
  fleet.heard("box-1", "boot-a", beat(7));
  t.strictSame(fleet.holdingsOf("box-1"), [], "a list that was lost on its way is not the one before it");
  fleet.heard("box-1", "boot-b", beat(1));
  t.strictSame([fleet.nonceOf("box-1"), fleet.holdingsOf("box-1")], [filled(16, 1), []], "another boot counts anew and says anew what it holds");
  t.strictSame(asked, [], "and who is up to date is told nothing");
  fleet.heard("box-2", "boot-a", beat(1, { siteRecord: { version: body.version - 1, hash: filled(32, 0) } }));
  fleet.heard("box-3", "boot-a", beat(1, { siteRecord: null }));
  t.strictSame(asked, [["record", "box-2"], ["record", "box-3"]]);
});

void t.test("a quarantine is durable and told to all; a second within the window is held", async (t) => {
  const { fleet, clock, asked, make } = scene();
  for (const box of all) fleet.heard(box, "boot", beat(1));
  t.equal(await fleet.quarantine("box-3", "HSM_COMPROMISED"), true);
  t.strictSame(asked, [["quarantine", "box-1"], ["quarantine", "box-2"]]);
  t.equal(await fleet.quarantine("box-3", "HSM_COMPROMISED"), true, "the same again is no second");
  await clock.advance(10 * 60_000 - 1);
  t.strictSame([await fleet.quarantine("box-2", "HSM_COMPROMISED"), fleet.isQuarantined("box-2")], [false, false]);
  await clock.advance(1);
  t.equal(await fleet.quarantine("box-2", "HSM_COMPROMISED"), true);
  const again = make();
  again.heard("box-3", "boot", beat(1));
  t.strictSame([again.liveness("box-3"), again.isLive("box-3"), again.isQuarantined("box-1")], ["quarantined", false, false]);
});

void t.test("a version of the record that readmits a box lifts its quarantine, and no other; convicted again it is out again", async (t) => {
  const { fleet, clock, parts, asked, make } = scene();
  for (const box of all) fleet.heard(box, "boot", beat(1));
  await fleet.quarantine("box-3", "HSM_COMPROMISED");
  const becomes = (change: Partial<SiteRecord["body"]>): void => {
    Object.assign(parts, { site: siteOf({ ...parts.site.current, body: { ...parts.site.current.body, ...change } }) });
    fleet.announceRecord();
  };
  becomes({ version: 6, roles: [] });
  t.strictSame([fleet.isQuarantined("box-3"), fleet.liveness("box-3"), make().liveness("box-3")], [true, "quarantined", "quarantined"]);
  becomes({ version: 7, boxes: body.boxes.map((box) => (box.id === "box-3" ? { ...box, readmitted: 7 } : box)) });
  t.strictSame([fleet.isQuarantined("box-3"), fleet.liveness("box-3"), make().liveness("box-3")], [false, "never-seen", "never-seen"]);
  fleet.heard("box-3", "boot", beat(2));
  t.equal(fleet.liveness("box-3"), "ready");
  await clock.advance(10 * 60_000);
  for (const box of all) fleet.heard(box, "boot", beat(3));
  asked.length = 0;
  t.equal(await fleet.quarantine("box-3", "HSM_COMPROMISED"), true);
  t.strictSame([fleet.isQuarantined("box-3"), make().liveness("box-3")], [true, "quarantined"]);
  t.strictSame(asked, [["quarantine", "box-1"], ["quarantine", "box-2"]], "and the others are told of it");
});

void t.test("a box with another record of the same version: an alarm, once", async (t) => {
  const { fleet, logged, asked } = scene();
  const alarms = (): number => logged.filter((event) => event === "site record forked").length;
  const other = { siteRecord: { version: body.version, hash: filled(32, 0) } };
  fleet.heard("box-1", "boot", beat(1));
  t.equal(alarms(), 0);
  fleet.heard("box-1", "boot", beat(2, other));
  fleet.heard("box-1", "boot", beat(3, other));
  t.equal(alarms(), 1);
  fleet.heard("box-1", "boot", beat(4));
  fleet.heard("box-1", "boot", beat(5, other));
  t.equal(alarms(), 2, "and again if it comes again");
  t.strictSame(asked, [], "there is nothing to offer it");
});

void t.test("a version is offered to who is there, once, and each says whether it took it", async (t) => {
  const { fleet, parts, asked } = scene();
  for (const box of all) fleet.heard(box, "boot", beat(1));
  const { exchange } = parts;
  const taken = exchange.request.bind(exchange);
  const others: Record<string, () => Promise<unknown>> = { "box-2": () => Promise.reject(new Error("lost")), "box-3": () => Promise.resolve({ ...refOf(record), version: 4 }) };
  Object.assign(exchange, { request: (table: never, name: never, box: string) => others[box]?.() ?? taken(table, name, box, {} as never) });
  const offers = fleet.announceRecord();
  t.strictSame(await Promise.all([...offers].map(async ([box, one]) => [box, await one])), [["box-1", true], ["box-2", false], ["box-3", false]], "one that waits for an older one has not");
  t.equal(fleet.announceRecord(), offers);
  t.strictSame(asked, [["record", "box-1"]]);
});

void t.test("who was away, or did not take it, is told of a quarantine with its next beat; who has taken it not again", async (t) => {
  const { fleet, asked, parts, make } = scene();
  for (const box of ["box-1", "box-3"]) fleet.heard(box, "boot", beat(1));
  await fleet.quarantine("box-3", "HSM_COMPROMISED");
  const { exchange } = parts;
  const taken = exchange.request.bind(exchange);
  Object.assign(exchange, { request: () => Promise.reject(new Error("lost")) });
  fleet.heard("box-2", "boot", beat(1));
  await settle();
  Object.assign(exchange, { request: taken });
  asked.length = 0;
  for (const box of all) fleet.heard(box, "boot", beat(2));
  for (const box of ["box-1", "box-2"]) fleet.heard(box, "boot", beat(3));
  t.strictSame(asked, [["quarantine", "box-2"]]);
  asked.length = 0;
  const again = make();
  again.heard("box-1", "boot", beat(4));
  t.strictSame(asked, [["quarantine", "box-1"]], "a restarted coordinator does not know who was told");
});

void t.test("an inventory that is not that of the list: out at once, and nothing of that beat is believed", async (t) => {
  const { fleet } = scene();
  fleet.heard("box-1", "boot", beat(1, holds("box-1", holding)));
  fleet.heard("box-1", "boot", beat(2, { ...holds("box-1"), holdings: [holding] }));
  t.strictSame([fleet.liveness("box-1"), fleet.nonceOf("box-1")], ["quarantined", filled(16, 1)]);
  fleet.heard("box-2", "boot", beat(1, holds("box-1", holding)));
  t.strictSame([fleet.liveness("box-2"), fleet.nonceOf("box-2")], ["never-seen", undefined], "another box's: the second within the window is held, and not believed either");
});

void t.test("a box that says itself that it was tampered with is out, but not a majority at once", async (t) => {
  const { fleet, logged } = scene();
  t.equal(await fleet.quarantine("box-1", "TAMPERED"), true);
  t.equal(await fleet.quarantine("box-2", "TAMPERED"), false);
  t.match(logged.at(-1), "majority tampered");
});

void t.test("a silent box is lost once, after its probes have failed; back from it, it must be steady", async (t) => {
  const { fleet, live, lost, logged, asked } = scene();
  let changes = 0;
  fleet.onChange(() => { changes += 1; });
  await live(2000, all);
  t.equal(changes, 3);
  t.ok(all.every((box) => fleet.isSteady(box)));
  await live(12_000, ["box-1", "box-2"]);
  t.match([fleet.isLive("box-3"), fleet.isSteady("box-3"), lost], [true, false, []]);
  await live(8000, ["box-1", "box-2"]);
  t.strictSame([fleet.liveness("box-3"), fleet.isLive("box-3"), lost, fleet.hold], ["lost", false, ["box-3"], false]);
  t.ok(asked.filter(([name, box]) => name === "probe" && box === "box-3").length > 1);
  t.ok(logged.includes("box lost"));
  await live(60_000, ["box-1", "box-2"]);
  t.strictSame(lost, ["box-3"], "told once");
  await live(10_000, all);
  t.strictSame([fleet.liveness("box-3"), fleet.sinceMs("box-3")], ["returning", 10_000]);
  await live(14_000, all);
  t.ok(fleet.isSteady("box-3"));
});

void t.test("a box that is not heard once since our start is waited for, and then judged like the others", async (t) => {
  const { live, lost } = scene();
  await live(600_000, ["box-1", "box-2"]);
  t.strictSame(lost, []);
  await live(4000, ["box-1", "box-2"]);
  t.strictSame(lost, ["box-3"]);
});

void t.test("one probe of a box at a time", async (t) => {
  const { live, asked, answers } = scene({ suspectMs: 1000 });
  answers.set("box-3", new Promise(() => undefined));
  for (let i = 0; i < 3; i++) {
    await live(2000, all);
    await live(6000, ["box-1", "box-2"]);
  }
  t.strictSame(asked.filter(([name, box]) => name === "probe" && box === "box-3"), [["probe", "box-3"]]);
});

void t.test("a coordinator that was halted itself finds everybody silent, and loses nobody", async (t) => {
  const { fleet, live, clock, answers, lost } = scene();
  await live(2000, all);
  let unanswered: (error: Error) => void = () => undefined;
  answers.set("box-3", new Promise((_resolve, reject) => { unanswered = reject; }));
  await live(10_000, ["box-1", "box-2"]);
  t.equal(fleet.liveness("box-3"), "probed");
  await clock.advance(20_000);
  unanswered(new Error("too late"));
  await settle();
  t.strictSame([fleet.liveness("box-3"), fleet.hold, lost], ["suspect", true, []]);
});

void t.test("a probe that is answered with work saves a box whose heartbeats are lost; another answer does not", async (t) => {
  const { fleet, live, lost, answers } = scene();
  await live(2000, all);
  answers.set("box-3", work);
  await live(60_000, ["box-1", "box-2"]);
  t.strictSame([lost, fleet.isLive("box-3")], [[], true]);
  answers.set("box-3", { ...work, verified: { key: "payroll", ok: false } });
  await live(30_000, ["box-1", "box-2"]);
  t.strictSame(lost, ["box-3"], "its shard does not open");
});

void t.test("a wrong MAC is a quarantine, once our own HSM has passed its test and the site is sealed", async (t) => {
  for (const [what, sealed, selfTest, expected] of [
    ["proven", true, () => Promise.resolve(), "quarantined"],
    ["a sick coordinator convicts nobody, nor loses who answers", true, () => Promise.reject(new Error("sick")), "suspect"],
    ["a box that is being joined again", false, () => Promise.resolve(), "lost"],
  ] as const) {
    const { fleet, live, answers, hsm, parts } = scene();
    Object.assign(parts.site, { current: { ...record, body: { ...body, sealed } } });
    Object.assign(hsm, { verifyMac: () => Promise.resolve(false), selfTest });
    await live(2000, all);
    answers.set("box-3", work);
    await live(30_000, ["box-1", "box-2"]);
    t.equal(fleet.liveness("box-3").replace("probed", "suspect"), expected, what);
  }
});

void t.test("too few at once: it is our network. Nobody is lost until a majority is back, and it is said once", async (t) => {
  const { fleet, live, lost, logged } = scene();
  const said = (): number => logged.filter((line) => line === "our network: held").length;
  t.notOk(fleet.hold, "not at the start, when nobody has been heard");
  await live(2000, all);
  await live(120_000, ["box-1"]);
  t.strictSame([fleet.hold, lost, said()], [true, [], 1]);
  t.strictSame(fleet.live(), ["box-1"], "though who has been silent for so long is not asked");
  await live(120_000, ["box-1", "box-2"]);
  t.strictSame([fleet.hold, lost, said()], [false, ["box-3"], 1], "then who is still silent is lost");
  await live(20_000, ["box-1"]);
  t.strictSame([fleet.hold, lost, said()], [true, ["box-3"], 2], "and with it gone the next is a hold again");
});

void t.test("a maintenance: no suspicion, no loss, bounded, durable over a restart, and judged anew from its end", async (t) => {
  const { fleet, live, lost, make } = scene();
  await live(2000, all);
  await t.rejects(fleet.pause("box-9", 1000), { code: "UNKNOWN_BOX" });
  await t.rejects(fleet.resume("box-9"), { code: "UNKNOWN_BOX" });
  await t.rejects(fleet.pause("box-3", 86_400_001), { code: "PAUSE_TOO_LONG" });
  t.ok(fleet.isSteady("box-3"), "nothing has changed");
  t.equal(await fleet.pause("box-3", 60_000), "maintenance");
  t.strictSame([fleet.isPaused("box-3"), fleet.isLive("box-3"), fleet.isSteady("box-3")], [true, false, false]);
  await live(58_000, ["box-1", "box-2"]);
  t.ok(fleet.isPaused("box-3"));
  const again = make();
  await live(30_000, ["box-1", "box-2"], again);
  t.strictSame([again.liveness("box-3"), lost], ["maintenance", []], "a restart forgets no maintenance");
  t.equal(await again.resume("box-3"), "suspect");
  t.notOk(make().isPaused("box-3"), "nor its end");
  await live(12_000, ["box-1", "box-2"], again);
  t.strictSame(lost, [], "its silence begins with the end of the maintenance");
  await live(10_000, ["box-1", "box-2"], again);
  t.strictSame(lost, ["box-3"]);
  await fleet.quarantine("box-3", "HSM_COMPROMISED");
  await t.rejects(fleet.pause("box-3", 1000), { code: "QUARANTINED" });
});

void t.test("a maintenance that has run out is forgotten at rest too", async (t) => {
  const { fleet, live, make } = scene();
  await live(2000, all);
  await fleet.pause("box-3", 4000);
  await live(6000, all);
  t.ok(fleet.isSteady("box-3"), "it beat all the time");
  t.notOk(make().isPaused("box-3"));
});

void t.test("a will is a hint about the life that it was written in", async (t) => {
  const { fleet } = scene();
  fleet.heard("box-1", "boot-b", beat(1));
  for (const [boot, data] of [["boot-a", { state: "lost" }], ["boot-b", { state: "ready" }], ["boot-b", { state: "gone" }], ["boot-b", null]] as const) fleet.hinted("box-1", boot, data);
  t.ok(fleet.isSteady("box-1"));
  fleet.hinted("box-1", "boot-b", { state: "stopped" });
  t.strictSame([fleet.liveness("box-1"), fleet.isLive("box-1")], ["suspect", true]);
  fleet.hinted("box-2", "boot-b", { state: "lost" });
  t.equal(fleet.liveness("box-2"), "never-seen");
});

void t.test("a beat of a box that cannot do its work is no sign of life, and alarms once", async (t) => {
  const { fleet, logged } = scene();
  const alarms = (): string[] => logged.filter((line) => /HSM not in order|shard cannot/.test(line));
  fleet.heard("box-1", "boot", beat(1));
  for (const counter of [2, 3]) fleet.heard("box-1", "boot", beat(counter, { hsm: { ok: false, backing: "software", detail: "HSM_FAULT" } }));
  t.strictSame([fleet.liveness("box-1"), alarms()], ["suspect", ["HSM not in order"]]);
  fleet.heard("box-1", "boot", beat(4));
  t.ok(fleet.isSteady("box-1"));
  fleet.heard("box-1", "boot", beat(5, { verified: { key: "payroll", ok: false } }));
  t.strictSame([fleet.liveness("box-1"), alarms().at(-1)], ["suspect", "shard cannot be opened"]);
});

void t.test("a box that is lost again and again alarms", async (t) => {
  const { fleet, live, lost, logged } = scene({ suspectMs: 4000, lostMs: 8000, steadyMs: 0 });
  for (let i = 0; i < 5; i++) {
    t.equal(logged.filter((line) => line === "box flaps").length, 0);
    await live(6000, all);
    await live(14_000, ["box-1", "box-2"]);
  }
  t.strictSame([lost.length, logged.filter((line) => line === "box flaps").length, fleet.liveness("box-3")], [5, 1, "lost"]);
});

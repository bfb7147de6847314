import t from "tap";
import type { Liveness } from "../../agent/protocol/heartbeat.ts";
import { clientRequests } from "../../agent/protocol/messages.ts";
import { topic } from "../../agent/protocol/topics.ts";
import { coordinatorId, InProcessSite } from "../support/in-process-site.ts";
import { birth, finish, touch, use } from "../support/use.ts";

const rules = [{ key: "payroll", resource: "**", operations: ["create", "encrypt"], require: [{ role: "officer", people: 1 }], requester: "never", confirm: "none", distinctBoxes: true }];
const people = [{ id: "alice", roles: ["officer"], boxes: ["box-1"] }];
const all = ["box-1", "box-2", "box-3", "box-4", "box-5"];

async function withKey(): Promise<InProcessSite> {
  const site = await InProcessSite.start({ people, rules });
  const born = use(site, "cli", birth);
  await touch(site, "box-1", "alice");
  await finish(site, born);
  return site;
}

const statusOf = (site: InProcessSite) => finish(site, site.clients.get("cli")!.exchange.request(clientRequests, "status", coordinatorId, {}));
const pause = (site: InProcessSite, box: string, forMs: number) => finish(site, site.clients.get("cli")!.exchange.request(clientRequests, "box-pause", coordinatorId, { box, forMs }));
const resume = (site: InProcessSite, box: string) => finish(site, site.clients.get("cli")!.exchange.request(clientRequests, "box-resume", coordinatorId, { box }));
async function stateOf(site: InProcessSite, box: string): Promise<Liveness> {
  const { boxes } = await statusOf(site);
  return boxes.find((one) => one.box === box)!.state;
}
/** Every state that `box` is seen in during `ms`. */
async function statesDuring(site: InProcessSite, box: string, ms: number): Promise<Set<Liveness>> {
  const seen = new Set<Liveness>();
  const end = site.clock.now() + ms;
  while (site.clock.now() < end) {
    seen.add(await stateOf(site, box));
    await site.clock.advance(400);
  }
  return seen;
}
/** Nothing on topics that end so gets through between the broker and `box`. */
function cut(site: InProcessSite, box: string, ...ends: string[]): () => void {
  const plain = site.hub.onDelivery;
  site.hub.onDelivery = (delivery) => {
    if (!ends.some((end) => delivery.topic.endsWith(`/${box}/${end}`))) plain(delivery);
  };
  return () => { site.hub.onDelivery = plain; };
}
async function encrypt(site: InProcessSite): Promise<string> {
  const running = use(site, "cli", { operation: "encrypt", payload: new Uint8Array([1]) });
  await site.clock.advance(500);
  site.box("box-1").sensor.touch("alice");
  return await finish(site, running).then(() => "done", (error: unknown) => (error as { code: string }).code);
}

void t.test("a will is a hint: suspect at once, ready with the next beat", async (t) => {
  const site = await withKey();
  const { exchange } = site.box("box-2");
  await exchange.tell(topic({ kind: "box", box: "box-2", direction: "up", what: "state" }), "state", { state: "lost" }, { qos: 1 });
  await site.clock.advance(1);
  t.equal(await stateOf(site, "box-2"), "suspect");
  t.strictSame([...await statesDuring(site, "box-2", 30_000)].filter((state) => state === "lost"), []);
  t.equal(await stateOf(site, "box-2"), "ready");
});

void t.test("a box whose heartbeats are lost shows by its work that it is there; when that fails too it is lost, and comes back slowly", async (t) => {
  const site = await withKey();
  const mend = cut(site, "box-3", "up/heartbeat");
  const seen = await statesDuring(site, "box-3", 60_000);
  t.ok(seen.has("suspect") && seen.has("ready") && !seen.has("lost"));
  const mendAll = cut(site, "box-3", "down/request");
  t.ok((await statesDuring(site, "box-3", 25_000)).has("probed"));
  t.equal(await stateOf(site, "box-3"), "lost");
  t.equal(await encrypt(site), "done", "the others serve on");
  mendAll();
  mend();
  await site.clock.advance(5000);
  t.equal(await stateOf(site, "box-3"), "returning");
  await site.clock.advance(20_000);
  t.equal(await stateOf(site, "box-3"), "ready");
});

void t.test("three of five silent at once: a hold that says so, nobody is lost, and all is well when they are back", async (t) => {
  const site = await withKey();
  for (const box of ["box-3", "box-4", "box-5"]) site.box(box).setUp(false);
  await site.clock.advance(120_000);
  const { hold, boxes, keys } = await statusOf(site);
  t.strictSame([hold, boxes.map(({ state }) => state.replace("probed", "suspect"))], ["our-network", ["ready", "ready", "suspect", "suspect", "suspect"]]);
  t.ok(boxes[2]!.sinceMs > 100_000 && boxes[2]!.sinceMs < 120_000, "since when");
  t.equal(keys[0]?.live, 2);
  t.equal(await encrypt(site), "NOT_ENOUGH_HOLDERS", "before anybody is asked for a finger");
  site.box("box-3").setUp(true);
  await site.clock.advance(8000);
  t.notOk((await statusOf(site)).boxes.some(({ state }) => state === "lost"), "the first to come back lifts the hold, and has nobody lost by it");
  for (const box of ["box-4", "box-5"]) site.box(box).setUp(true);
  await site.clock.advance(3000);
  t.equal((await statusOf(site)).hold, null);
  for (const box of all) t.equal(await stateOf(site, box), "ready");
  t.equal(await encrypt(site), "done");
});

void t.test("one after the other is a loss each time", async (t) => {
  const site = await withKey();
  for (const box of ["box-4", "box-5"]) {
    site.box(box).setUp(false);
    await site.clock.advance(30_000);
    t.equal(await stateOf(site, box), "lost");
  }
  site.box("box-3").setUp(false);
  await site.clock.advance(60_000);
  t.not(await stateOf(site, "box-3"), "lost", "but not the one that would leave no majority");
});

void t.test("health is not ability: an HSM that is gone, or a shard that does not open, within one interval (custody §4, row 20)", async (t) => {
  for (const break_ of [
    (site: InProcessSite): void => { site.box("box-2").hsm.selfTest = () => Promise.reject(new Error("unplugged")); site.box("box-2").hsm.mac = () => Promise.reject(new Error("unplugged")); },
    (site: InProcessSite): void => { site.box("box-2").hsm.checkShards = () => Promise.resolve([false]); },
    (site: InProcessSite): void => { site.box("box-2").hsm.checkShards = () => Promise.reject(new Error("unplugged")); },
  ]) {
    const site = await withKey();
    const whole = { ...site.box("box-2").hsm };
    break_(site);
    await site.clock.advance(2200);
    t.match(await stateOf(site, "box-2"), /suspect|probed/);
    await site.clock.advance(20_000);
    t.match(await stateOf(site, "box-2"), /lost|returning/, "for all its heartbeats; one that is cut out holds no shard any more that does not open");
    Object.assign(site.box("box-2").hsm, whole);
    await site.clock.advance(25_000);
    t.equal(await stateOf(site, "box-2"), "ready");
  }
});

void t.test("a probe answered with a wrong MAC: quarantine", async (t) => {
  const site = await withKey();
  cut(site, "box-2", "up/heartbeat");
  site.box("box-2").hsm.mac = () => Promise.resolve(new Uint8Array(32));
  await site.clock.advance(10_000);
  t.equal(await stateOf(site, "box-2"), "quarantined");
});

void t.test("a heartbeat whose list is not its inventory: quarantine at once", async (t) => {
  const site = await withKey();
  const { exchange, nonces } = site.box("box-2");
  const lie = {
    counter: 1_000_000, nonce: nonces.issue(), siteRecord: null, hsm: { ok: true, backing: "software" }, sensor: { state: "ready", emulated: true },
    inventory: nonces.issue().padEnd(43, "A"), holdings: [], verified: null, uptimeS: 1, version: "1",
  };
  await exchange.tell(topic({ kind: "box", box: "box-2", direction: "up", what: "heartbeat" }), "heartbeat", lie, { to: coordinatorId });
  await site.clock.advance(10);
  t.equal(await stateOf(site, "box-2"), "quarantined");
});

void t.test("an announced maintenance triggers nothing until it is over", async (t) => {
  const site = await withKey();
  t.strictSame(await pause(site, "box-2", 600_000), { state: "maintenance" });
  site.box("box-2").setUp(false);
  t.strictSame(await statesDuring(site, "box-2", 300_000), new Set(["maintenance"]));
  t.equal(await encrypt(site), "done");
  t.strictSame(await resume(site, "box-2"), { state: "suspect" });
  await site.clock.advance(25_000);
  t.equal(await stateOf(site, "box-2"), "lost");
  await t.rejects(pause(site, "box-9", 1000), { code: "UNKNOWN_BOX" });
  await t.rejects(pause(site, "box-2", 86_400_001), { code: "PAUSE_TOO_LONG" });
  await t.rejects(resume(site, "box-9"), { code: "UNKNOWN_BOX" });
});

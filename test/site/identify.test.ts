import t from "tap";
import { boxRequests, clientRequests } from "../../agent/protocol/messages.ts";
import { ShardkeepError } from "../../agent/runtime/errors.ts";
import { coordinatorId, InProcessSite } from "../support/in-process-site.ts";
import { birth, finish, touch, use } from "../support/use.ts";

const rules = [{ key: "payroll", resource: "**", operations: ["create"], require: [{ role: "officer", people: 1 }], requester: "never", confirm: "none", distinctBoxes: true }];
const people = [{ id: "alice", roles: ["officer"], boxes: ["box-1"] }];

async function begin() {
  const site = await InProcessSite.start({ people, rules, panels: ["box-1", "box-5"], config: { reshardWindowMs: 0 } });
  const { exchange } = site.clients.get("cli")!;
  const identify = (box: string, forMs = 30_000) => finish(site, exchange.request(clientRequests, "box-identify", coordinatorId, { box, forMs }), 10_000);
  await site.clock.advance(3000);
  const panel = (box: string) => site.panels.get(box)!;
  return { site, exchange, identify, panel };
}

void t.test("the panel shows it for its time; asked again, the time begins anew; a prompt comes first", async (t) => {
  const { site, identify, panel } = await begin();
  const { shown } = panel("box-1");
  shown.length = 0;
  t.strictSame(await identify("box-1"), { shows: "identify", on: "panel" });
  await site.clock.advance(29_000);
  await identify("box-1");
  await site.clock.advance(29_000);
  t.strictSame(shown, ["identify"]);
  const born = use(site, "cli", birth);
  await site.clock.until(() => site.box("box-1").sensor.isWaiting, 900, "a prompt");
  t.match(await identify("box-1", 6000), { shows: "waiting-for-finger" });
  await touch(site, "box-1", "alice");
  await finish(site, born);
  await site.clock.advance(10_000);
  t.strictSame(shown, ["identify", "waiting-for-finger", "accepted", "identify", "ready"]);
  t.strictSame(panel("box-5").shown.filter((state) => state === "identify"), [], "and no other box");
});

void t.test("a box that is locked and in quarantine is found too, and its alarm is not hidden", async (t) => {
  const { site, exchange, identify, panel } = await begin();
  panel("box-5").open();
  await site.clock.advance(3000);
  const { boxes } = await finish(site, exchange.request(clientRequests, "status", coordinatorId, {}), 10_000);
  t.equal(boxes[4]?.state, "quarantined");
  t.strictSame(await identify("box-5"), { shows: "tamper", on: "panel" });
  panel("box-5").plug(false);
  t.strictSame(await identify("box-5"), { shows: "tamper", on: "ring" });
  t.strictSame(panel("box-5").shown.filter((state) => state === "identify"), []);
});

void t.test("without a panel the ring shows it; where nothing lights, nobody is sent to look", async (t) => {
  const { site, identify, panel } = await begin();
  const { sensor } = site.box("box-2");
  t.strictSame(await identify("box-2", 5000), { shows: "identify", on: "ring" });
  await site.clock.advance(4000);
  await identify("box-2", 5000);
  await site.clock.advance(4000);
  t.strictSame(sensor.lit, ["accepted", "accepted"]);
  await site.clock.advance(2000);
  t.strictSame(sensor.lit, ["accepted", "accepted", "ready"]);
  sensor.light = () => Promise.reject(new ShardkeepError("SENSOR_BUSY", "it serves a prompt"));
  await t.rejects(identify("box-2"), { code: "SENSOR_BUSY" });

  panel("box-1").plug(false);
  t.strictSame(await identify("box-1", 1000), { shows: "identify", on: "ring" });
  await site.clock.advance(2000);
  panel("box-1").shown.length = 0;
  site.box("box-1").sensor.status = () => Promise.resolve({ state: "absent", emulated: false });
  await t.rejects(identify("box-1"), { code: "SENSOR_ABSENT", message: /nothing that lights/ });
  t.strictSame(panel("box-1").shown, []);
});

void t.test("for which box, for how long", async (t) => {
  const { site, exchange, identify } = await begin();
  await t.rejects(identify("box-9"), { code: "UNKNOWN_BOX" });
  await t.rejects(identify("box-1", 600_001), { code: "BAD_REQUEST" });
  await t.rejects(identify("box-1", 999), { code: "BAD_REQUEST" });
  await t.rejects(finish(site, site.coordinatorExchange.request(boxRequests, "identify", "box-1", { forMs: 600_001 }), 10_000), { code: "BAD_REQUEST" });
  await finish(site, exchange.request(clientRequests, "box-pause", coordinatorId, { box: "box-1", forMs: 60_000 }), 10_000);
  t.match(await identify("box-1"), { shows: "identify" }, "in maintenance: it is there");
  site.stopBox("box-3");
  await site.clock.advance(60_000);
  await t.rejects(identify("box-3"), { code: "UNKNOWN_BOX", retryable: true });
});

void t.test("a re-shard in which the box takes part is shown from JOIN to its end, also over a restart", async (t) => {
  const { site, exchange, panel } = await begin();
  const born = use(site, "cli", birth);
  await touch(site, "box-1", "alice");
  await finish(site, born);
  await site.clock.advance(5000);
  const { shown } = panel("box-5");
  shown.length = 0;
  await finish(site, exchange.request(clientRequests, "key-reshard", coordinatorId, { key: "payroll" }, { deadlineMs: 60_000 }));
  await site.clock.advance(5000);
  t.strictSame(shown, ["re-sharding", "ready"]);

  const deliver = site.hub.onDelivery;
  site.hub.onDelivery = (delivery) => { if (!Buffer.from(delivery.payload).includes('"request/reshard-deal"')) deliver(delivery); };
  void exchange.request(clientRequests, "key-reshard", coordinatorId, { key: "payroll" }, { deadlineMs: 60_000 }).catch(() => undefined);
  await site.clock.until(() => shown.at(-1) === "re-sharding", 10_000, "a re-shard");
  await site.restartBox("box-5");
  await site.clock.until(() => shown.at(-1) === "re-sharding", 10_000, "the same in the next life");
  site.hub.onDelivery = deliver;
  await site.clock.until(() => shown.at(-1) === "ready", 60_000, "its end");
});

import t from "tap";
import { clientRequests } from "../../agent/protocol/messages.ts";
import { coordinatorId, InProcessSite } from "../support/in-process-site.ts";
import { birth, finish, touch, use } from "../support/use.ts";

const rules = [{ key: "payroll", resource: "**", operations: ["create", "encrypt"], require: [{ role: "officer", people: 1 }], requester: "never", confirm: "none", distinctBoxes: true }];
const people = [{ id: "alice", roles: ["officer"], boxes: ["box-1"] }];

async function begin() {
  const site = await InProcessSite.start({ people, rules, panels: ["box-1"] });
  const { exchange } = site.clients.get("cli")!;
  const boxOf = async (id: string) => (await finish(site, exchange.request(clientRequests, "status", coordinatorId, {}), 10_000)).boxes.find(({ box }) => box === id);
  const panel = site.panels.get("box-1")!;
  await site.clock.advance(3000);
  return { site, exchange, boxOf, panel };
}

void t.test("a panel that goes away is degraded, and nothing more", async (t) => {
  const { site, boxOf, panel } = await begin();
  t.match(await boxOf("box-1"), { state: "ready", panel: "ready", panelEmulated: true, degraded: false });
  t.match(await boxOf("box-2"), { state: "ready", panel: "none", panelEmulated: false, degraded: false });
  t.equal(panel.shown.at(-1), "ready");
  panel.display = true;
  panel.plug(true);
  const displays: unknown[] = [];
  const plain = site.hub.onDelivery;
  site.hub.onDelivery = (delivery) => {
    const { body } = JSON.parse(new TextDecoder().decode(delivery.payload)) as { body: { type: string; data: { value?: { evidence?: { body: { display: string } } } } } };
    if (body.type === "response/prompt" && body.data.value?.evidence !== undefined) displays.push(body.data.value.evidence.body.display);
    plain(delivery);
  };
  const born = use(site, "cli", birth);
  await touch(site, "box-1", "alice");
  await finish(site, born);
  await site.clock.advance(5000);
  panel.plug(false);
  t.equal(panel.shown.at(-1), "degraded", "at once, for the ring");
  await site.clock.advance(3000);
  t.match(await boxOf("box-1"), { state: "ready", panel: "absent", degraded: true });
  const used = use(site, "cli", { operation: "encrypt" });
  await touch(site, "box-1", "alice");
  t.ok(await finish(site, used), "it works");
  t.strictSame(displays, ["lcd", "console"], "and the evidence says what was looked at");
  panel.plug(true);
  await site.clock.advance(5000);
  t.match(await boxOf("box-1"), { state: "ready", panel: "ready", degraded: false });
  t.equal(panel.shown.at(-1), "ready");
});

void t.test("so is a box whose sensor or HSM is not in order, panel or not", async (t) => {
  const { site, boxOf, panel } = await begin();
  for (const id of ["box-1", "box-2"]) site.box(id).sensor.status = () => Promise.resolve({ state: "foreign", emulated: true });
  site.box("box-3").hsm.selfTest = () => Promise.reject(new Error("no"));
  await site.clock.advance(5000);
  t.equal(panel.shown.at(-1), "degraded");
  t.match(await boxOf("box-1"), { state: "ready", sensor: "foreign", panel: "ready", degraded: true });
  t.match(await boxOf("box-2"), { state: "ready", sensor: "foreign", panel: "none", degraded: true });
  t.match(await boxOf("box-3"), { hsm: "INTERNAL", degraded: true });
});

import t, { type Test } from "tap";
import type { z } from "zod";
import { Shelf } from "../../agent/box/shelf.ts";
import { runRecover, type Recovered } from "../../agent/client/recover.ts";
import { clientRequests } from "../../agent/protocol/messages.ts";
import { coordinatorId, InProcessSite } from "../support/in-process-site.ts";
import { finish, partsOf, touch, use } from "../support/use.ts";

const rule = { key: "payroll", resource: "**", require: [{ role: "officer", people: 1 }], requester: "never", confirm: "none", distinctBoxes: true };
const rules = [{ ...rule, operations: ["create", "encrypt", "decrypt"] }, { ...rule, operations: ["recover"], require: [{ role: "officer", people: 2 }] }];
const people = [{ id: "alice", roles: ["officer"], boxes: ["box-1"] }, { id: "bob", roles: ["officer"], boxes: ["box-2"] }];
const config = { reshardWindowMs: 0, steadyMs: 4000, reshardStepMs: 2000 };
const plain = new TextEncoder().encode("the key is the same");
type Body = { type: string; data: unknown };

/** A key of 2 of 3, and a message sealed with it; `drop` says which requests to which box are lost. */
async function begin(boxes: number, holders: readonly string[], given = rules) {
  const site = await InProcessSite.start({ people, rules: given, config, boxes, reshardWindowMs: 0 });
  const lost = { is: (_name: string, _box: string): boolean => false };
  const passOn = site.hub.onDelivery;
  site.hub.onDelivery = (delivery) => {
    const { body } = JSON.parse(new TextDecoder().decode(delivery.payload)) as { body: Body };
    if (!lost.is(body.type, delivery.topic.split("/").find((part) => part.startsWith("box-")) ?? "")) passOn(delivery);
  };
  const born = use(site, "cli", { operation: "create", create: { kind: "aes-256", threshold: 2, holders: [...holders], imported: false } });
  await touch(site, "box-1", "alice");
  await finish(site, born);
  const sealing = use(site, "cli", { operation: "encrypt", payload: plain });
  await touch(site, "box-1", "alice");
  const sealed = (await finish(site, sealing)).result;
  await site.clock.advance(6000);
  const silence = (box: string): void => { site.box(box).setUp(false); };
  return { site, sealed, lost, silence };
}

const held = (site: InProcessSite, ...boxes: readonly string[]): string[] => boxes.map((id) => new Shelf(site.box(id).store, "test", id).all().map(({ state, record }) => `${state} ${record.epoch}`).sort().join(", ") || "none");
async function status(site: InProcessSite): Promise<z.infer<(typeof clientRequests)["status"]["response"]>> {
  return await finish(site, site.clients.get("cli")!.exchange.request(clientRequests, "status", coordinatorId, {}), 10_000);
}
const order = (site: InProcessSite): void => { site.clients.get("cli")!.exchange.request(clientRequests, "key-reshard", coordinatorId, { key: "payroll" }, { deadlineMs: 600_000 }).catch(() => undefined); };
const ask = (site: InProcessSite, gone: readonly string[]): Promise<Recovered> => {
  const asked = runRecover(partsOf(site, "cli"), { key: "payroll", reason: "the north office burnt down", gone });
  asked.catch(() => undefined);
  return asked;
};
async function recover(site: InProcessSite, gone: readonly string[]): Promise<Recovered> {
  const asked = ask(site, gone);
  await touch(site, "box-1", "alice");
  await touch(site, "box-2", "bob");
  return await finish(site, asked);
}
async function opens(site: InProcessSite, t: Test, sealed: Uint8Array): Promise<void> {
  const opened = use(site, "cli", { operation: "decrypt", payload: sealed });
  await touch(site, "box-1", "alice");
  t.strictSame((await finish(site, opened)).result, plain);
}
const absent = async (site: InProcessSite, ...boxes: readonly string[]): Promise<void> => {
  for (let i = 0; i < 60; i++) {
    const { boxes: all } = await status(site);
    if (boxes.every((box) => ["lost", "absent"].includes(all.find((one) => one.box === box)!.state))) return;
    await site.clock.advance(1000);
  }
};

void t.test("three new holders, one falls silent for ever after P: neither certificate can form, people recover, the key opens with its old shards", async (t) => {
  const { site, sealed, lost, silence } = await begin(4, ["box-1", "box-2", "box-3"]);
  const dead = new Set<string>();
  lost.is = (name, box) => {
    if (name !== "request/reshard-activate" || box === "box-1" || box === "box-2") return false;
    dead.add(box);
    return true;
  };
  order(site);
  await site.clock.until(() => dead.size > 0 && held(site, "box-1", "box-2").join() === "current 2, old 1,current 2, old 1", 60_000, "P, and two have activated");
  const [box] = [...dead] as [string];
  silence(box);
  await absent(site, box);
  await site.clock.advance(60_000);
  t.match((await status(site)).keys[0], { epoch: 1, reshard: "certified" });
  await opens(site, t, sealed);
  const { record, isForward } = await recover(site, [box]);
  t.match([record.epoch, isForward], [1, false]);
  t.match(site.box("box-1").shown.join("\n"), new RegExp(`cli asks to end the re-shard of key payroll without ${box}, gone for good`));
  await site.clock.advance(10_000);
  await opens(site, t, sealed);
  const { keys: [key] } = await status(site);
  t.not(key!.reshard, "certified");
  t.notOk(key!.holders.includes("box-4") && !key!.holders.includes("box-3") && key!.epoch === 2 && key!.reshard === "resolving");
});

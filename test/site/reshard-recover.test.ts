import t, { type Test } from "tap";
import type { z } from "zod";
import { Shelf } from "../../agent/box/shelf.ts";
import { runRecover, type Recovered } from "../../agent/client/recover.ts";
import { clientRequests } from "../../agent/protocol/messages.ts";
import { coordinatorId, InProcessSite } from "../support/in-process-site.ts";
import { finish, partsOf, reshard, touch, use } from "../support/use.ts";

const rule = { key: "payroll", resource: "**", require: [{ role: "officer", people: 1 }], requester: "never", confirm: "none", distinctBoxes: true };
const rules = [{ ...rule, operations: ["create", "encrypt", "decrypt"] }, { ...rule, operations: ["recover"], require: [{ role: "officer", people: 2 }] }, { ...rule, operations: ["reshard"] }];
const people = [{ id: "alice", roles: ["officer"], boxes: ["box-1"] }, { id: "bob", roles: ["officer"], boxes: ["box-2"] }];
const config = { reshardWindowMs: 0, steadyMs: 4000, reshardStepMs: 2000 };
const plain = new TextEncoder().encode("the key is the same");
type Body = { type: string; data: unknown };

/** A key, 2 of `holders`, and a message sealed with it; `lost` says which requests to which box are. */
async function begin(boxes: number, holders: readonly string[], given: readonly unknown[] = rules) {
  const site = await InProcessSite.start({ people, rules: given, config, boxes });
  const lost: { is: (name: string, box: string) => boolean } = { is: () => false };
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
  return { site, sealed, lost };
}

const held = (site: InProcessSite, ...boxes: readonly string[]): string[] => boxes.map((id) => new Shelf(site.box(id).store, "test", id).all().map(({ state, record }) => `${state} ${record.epoch}`).sort().join(", ") || "none");
async function status(site: InProcessSite): Promise<z.infer<(typeof clientRequests)["status"]["response"]>> {
  return await finish(site, site.clients.get("cli")!.exchange.request(clientRequests, "status", coordinatorId, {}), 10_000);
}
/** Approved by alice; nobody waits for its end. */
async function change(site: InProcessSite, holders: string[]): Promise<void> {
  void reshard(site, { holders });
  await touch(site, "box-1", "alice");
}
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

/** Box-4 comes for box-3 and is silent for ever from when it should activate: two of three have, and D takes three. */
async function stuck(given: readonly unknown[] = rules) {
  const all = await begin(4, ["box-1", "box-2", "box-3"], given);
  const { site, lost } = all;
  lost.is = (name, box) => {
    if (name !== "request/reshard-activate" || box !== "box-4") return false;
    site.box("box-4").setUp(false);
    return true;
  };
  await change(site, ["box-1", "box-2", "box-4"]);
  await site.clock.until(() => held(site, "box-1", "box-2", "box-3", "box-4").join("; ") === "current 2, old 1; current 2, old 1; current 1; next 2", 60_000, "two have activated");
  await site.clock.advance(120_000);
  t.match((await status(site)).keys[0], { epoch: 1, reshard: "certified" }, "for ever");
  return all;
}

void t.test("three new holders, one silent for ever after P: people recover, the key opens, and box-4 has nothing left when it returns", async (t) => {
  const { site, sealed } = await stuck();
  await opens(site, t, sealed);
  const { record, isForward, code } = await recover(site, ["box-4"]);
  t.match([record.epoch, isForward], [1, false]);
  t.match(site.box("box-1").shown.join("\n"), /cli asks to end the re-shard of key payroll without box-4, gone for good/);
  t.match(site.box("box-1").shown.join("\n"), new RegExp(`code ${code}`));
  await site.clock.advance(10_000);
  t.match((await status(site)).keys[0], { epoch: 1, reshard: null, holders: ["box-1", "box-2", "box-3"] });
  t.strictSame(held(site, "box-1", "box-2", "box-3"), Array(3).fill("current 1"));
  await opens(site, t, sealed);
  await site.restartBox("box-4");
  await site.clock.until(() => held(site, "box-4").join() === "none", 60_000, "box-4 is shown it");
  await finish(site, site.clients.get("cli")!.exchange.request(clientRequests, "key-reshard", coordinatorId, { key: "payroll" }, { deadlineMs: 60_000 }));
  await opens(site, t, sealed);
});

void t.test("without a rule for it nobody is asked; nor of an attempt that goes on, a box that is there, or one that does not exist", async (t) => {
  const { site } = await stuck(rules.filter(({ operations }) => !operations.includes("recover")));
  const refused = async (gone: readonly string[], code: string, message: RegExp, at = site): Promise<void> => { await t.rejects(finish(at, ask(at, gone)), { code, message }); };
  await refused(["box-4"], "NOT_PERMITTED", /no rule lets anybody recover payroll/);
  const ruled = await stuck();
  await refused(["box-3"], "RECOVER_HELD", /box-3 is there/, ruled.site);
  await refused(["box-9"], "UNKNOWN_BOX", /box-9/, ruled.site);
  const whole = await begin(4, ["box-1", "box-2", "box-3"]);
  await refused(["box-3"], "RECOVER_HELD", /none is under way/, whole.site);
});

void t.test("a coordinator set back to before D, one box gone: two have settled, the third follows, the key opens with its new shards", async (t) => {
  const { site, sealed, lost } = await begin(4, ["box-1", "box-2", "box-3", "box-4"]);
  let certified: typeof site.coordinatorDisk.records | undefined;
  lost.is = (name, box) => {
    if (name === "request/reshard-activate") {
      certified ??= site.coordinatorDisk.records;
      if (box === "box-4") site.box(box).setUp(false);
    }
    return name === "request/reshard-settle" && box === "box-3";
  };
  await change(site, ["box-1", "box-2", "box-3", "box-4"]);
  await site.clock.until(() => held(site, "box-1", "box-2").join() === "current 2,current 2", 60_000, "D is shown to two");
  site.coordinatorDisk.records = certified!;
  await site.startCoordinator();
  await site.clock.advance(120_000);
  t.match((await status(site)).keys[0], { epoch: 1, reshard: "certified" });
  const { record, isForward } = await recover(site, ["box-4"]);
  t.match([record.epoch, isForward], [2, true]);
  lost.is = () => false;
  await site.clock.advance(10_000);
  t.match(held(site, "box-1", "box-2", "box-3").join(), /^current \d,current \d,current \d$/);
  await opens(site, t, sealed);
});

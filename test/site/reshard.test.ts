import t from "tap";
import { Shelf } from "../../agent/box/shelf.ts";
import { clientRequests } from "../../agent/protocol/messages.ts";
import { coordinatorId, InProcessSite, type SiteOptions } from "../support/in-process-site.ts";
import { birth, finish, touch, use } from "../support/use.ts";

const rules = [{ key: "payroll", resource: "**", operations: ["create", "encrypt", "decrypt"], require: [{ role: "officer", people: 1 }], requester: "never", confirm: "none", distinctBoxes: true }];
const people = [{ id: "alice", roles: ["officer"], boxes: ["box-1"] }];
const config = { reshardWindowMs: 0, steadyMs: 4000 };
const five = ["box-1", "box-2", "box-3", "box-4", "box-5"];

async function withKey(options: Partial<SiteOptions> = {}): Promise<InProcessSite> {
  const site = await InProcessSite.start({ people, rules, config, ...options });
  const born = use(site, "cli", birth);
  await touch(site, "box-1", "alice");
  await finish(site, born);
  return site;
}

const shelf = (site: InProcessSite, box: string): Shelf => new Shelf(site.box(box).store, "test", box);
const epochs = (site: InProcessSite, boxes: readonly string[]): string[] => boxes.map((box) => shelf(site, box).all().map(({ state, record }) => `${state} ${record.epoch}`).join(", ") || "none");

async function status(site: InProcessSite) {
  const { exchange } = site.clients.get("cli")!;
  return await finish(site, exchange.request(clientRequests, "status", coordinatorId, {}), 10_000);
}

const key = async (site: InProcessSite) => (await status(site)).keys[0]!;

async function opens(site: InProcessSite, t: { strictSame(found: unknown, wanted: unknown): unknown }): Promise<void> {
  const plain = new TextEncoder().encode("the key is whole");
  const sealed = use(site, "cli", { operation: "encrypt", payload: plain });
  await touch(site, "box-1", "alice");
  const { result } = await finish(site, sealed);
  const opened = use(site, "cli", { operation: "decrypt", payload: result });
  await touch(site, "box-1", "alice");
  t.strictSame((await finish(site, opened)).result, plain);
}

void t.test("an order refreshes the key: new shards everywhere, the old ones destroyed, the key opens", async (t) => {
  const site = await withKey();
  const { exchange } = site.clients.get("cli")!;
  const { record } = await finish(site, exchange.request(clientRequests, "key-reshard", coordinatorId, { key: "payroll" }, { deadlineMs: 60_000 }));
  t.equal(record.epoch, 2);
  await site.clock.advance(10_000);
  t.strictSame(epochs(site, five), five.map(() => "current 2"));
  t.strictSame((await key(site)).exposures, [{ epoch: 1, attempt: 2, threshold: 3, open: [], software: 5, hardware: 0 }]);
  for (const box of five) t.strictSame(await site.box(box).hsm.sealKeys(), [2], "the seal key of the old generation is gone");
  await opens(site, t);
});

void t.test("a box that stops beating is cut out by itself; it comes back, is shown the certificate, and is a spare", async (t) => {
  const site = await withKey();
  site.box("box-5").setUp(false);
  await site.clock.until(() => epochs(site, ["box-1"])[0] === "current 2", 60_000, "a re-shard round box-5");
  await site.clock.advance(5000);
  const cut = await key(site);
  t.strictSame(cut.holders, ["box-1", "box-2", "box-3", "box-4"]);
  t.strictSame(cut.exposures[0]?.open, ["box-5"]);
  await opens(site, t);

  site.box("box-5").setUp(true);
  await site.clock.until(() => epochs(site, ["box-5"])[0]!.startsWith("current 3"), 120_000, "box-5 is a holder again");
  await site.clock.advance(10_000);
  t.strictSame(epochs(site, five), five.map(() => "current 3"));
  t.strictSame((await key(site)).exposures.map(({ open }) => open), [[], []]);
  await opens(site, t);
});

void t.test("where no zone may hold a threshold a spare of a zone that has enough does not come: the key is cut, and held", async (t) => {
  const site = await withKey({ boxes: 6, zones: ["a", "a", "b", "b", "c", "b"], record: { noZoneHoldsThreshold: true } });
  site.box("box-5").setUp(false);
  await site.clock.until(() => epochs(site, ["box-1"])[0] === "current 2", 60_000, "a re-shard round box-5");
  await site.clock.advance(5000);
  const { holders, held } = await key(site);
  t.strictSame(holders, ["box-1", "box-2", "box-3", "box-4"]);
  t.equal(held, "zones");
  await opens(site, t);
});

void t.test("a box whose store is set back to an old copy is put in quarantine and cut out; the key opens", async (t) => {
  const site = await withKey();
  const old = site.box("box-5").disk.records;
  const { exchange } = site.clients.get("cli")!;
  await finish(site, exchange.request(clientRequests, "key-reshard", coordinatorId, { key: "payroll" }, { deadlineMs: 60_000 }));
  await site.clock.advance(5000); // every box has sworn that the old epoch is destroyed
  site.box("box-5").disk.records = old;
  await site.restartBox("box-5");
  await site.clock.until(() => epochs(site, ["box-1"])[0] === "current 3", 60_000, "a re-shard round box-5");
  await site.clock.advance(5000);
  const { boxes, keys } = await status(site);
  t.equal(boxes.find(({ box }) => box === "box-5")?.state, "quarantined");
  t.strictSame(keys[0]?.holders, ["box-1", "box-2", "box-3", "box-4"]);
  await opens(site, t);
});

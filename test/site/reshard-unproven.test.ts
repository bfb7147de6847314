import t from "tap";
import { Shelf } from "../../agent/box/shelf.ts";
import { clientRequests } from "../../agent/protocol/messages.ts";
import { coordinatorId, InProcessSite, type SiteOptions } from "../support/in-process-site.ts";
import { shiftingDealer } from "../support/lying-hsm.ts";
import { finish, touch, use } from "../support/use.ts";

const rules = [{ key: "*", resource: "**", operations: ["create", "encrypt", "decrypt"], require: [{ role: "officer", people: 1 }], requester: "never", confirm: "none", distinctBoxes: true }].flatMap((rule) => ["payroll", "backup"].map((key) => ({ ...rule, key })));
const people = [{ id: "alice", roles: ["officer"], boxes: ["box-1"] }];
const config = { steadyMs: 4000 };
const plain = new TextEncoder().encode("the key is whole");

/** A 3-of-4 on box-1 to box-4 that has lost box-4, and a spare: three witnesses are left, as many as the threshold. */
async function unproven(options: Partial<SiteOptions> = {}, keys: readonly string[] = ["payroll"]) {
  const errors: string[] = [];
  const log = { info: () => undefined, warn: () => undefined, error: (event: string) => { errors.push(event); } };
  const site = await InProcessSite.start({ people, rules, config, log, ...options });
  for (const key of keys) await asked(site, "create", { key, create: { kind: "aes-256", threshold: 3, holders: ["box-1", "box-2", "box-3", "box-4"], imported: false } });
  const { result } = await asked(site, "encrypt", { payload: plain });
  site.box("box-4").setUp(false);
  await site.clock.until(() => keys.every((key) => shelf(site, "box-5").get(key, "next") !== undefined), 60_000, "all are prepared");
  await site.clock.advance(3000);
  const opens = async (): Promise<void> => { t.strictSame((await asked(site, "decrypt", { payload: result })).result, plain); };
  return { site, errors, opens };
}

async function asked(site: InProcessSite, operation: "create" | "encrypt" | "decrypt", ask: Partial<Parameters<typeof use>[2]> = {}) {
  const running = use(site, "cli", { operation, ...ask });
  await touch(site, "box-1", "alice");
  return await finish(site, running);
}

const shelf = (site: InProcessSite, box: string): Shelf => new Shelf(site.box(box).store, "test", box);
const epochs = (site: InProcessSite): string[] => ["box-1", "box-2", "box-3", "box-5"].map((box) => shelf(site, box).all().map(({ state, record }) => `${state} ${record.epoch}`).join(", ") || "none");

async function key(site: InProcessSite, name = "payroll") {
  const { exchange } = site.clients.get("cli")!;
  const { keys } = await finish(site, exchange.request(clientRequests, "status", coordinatorId, {}), 10_000);
  return keys.find((one) => one.key === name)!;
}

void t.test("with t witnesses the new shards wait for a use of the key; it opens by them, and they come into force", async (t) => {
  const { site, opens } = await unproven();
  t.match(await key(site), { epoch: 1, reshard: "unproven", held: null });
  t.strictSame(epochs(site), ["current 1, next 2", "current 1, next 2", "current 1, next 2", "next 2"]);
  await site.clock.advance(60_000);
  t.strictSame(epochs(site)[0], "current 1, next 2", "however long that takes");
  await opens();
  await site.clock.advance(5000);
  t.match(await key(site), { epoch: 2, reshard: null, holders: ["box-1", "box-2", "box-3", "box-5"] });
  t.strictSame(epochs(site), ["current 2", "current 2", "current 2", "current 2"]);
  await opens();
});

void t.test("a dealer that was its own witness has changed the key: the first use finds it, the attempt is burnt, the key opens", async (t) => {
  const { site, errors, opens } = await unproven({ hsm: (box, hsm) => (box === "box-2" ? shiftingDealer(hsm) : hsm) });
  t.match(await key(site), { epoch: 1, reshard: "unproven" });
  await t.rejects(opens(), { code: "KEY_CHECK_FAILED", message: /the new shards of payroll are not of the same key/, retryable: true });
  await opens();
  await site.clock.advance(10_000);
  t.match(await key(site), { epoch: 1, reshard: null, held: "bad-deals", exposures: [{ epoch: 2, attempt: 2, open: [] }] });
  t.strictSame(epochs(site), ["current 1", "current 1", "current 1", "none"]);
  t.ok(errors.includes("re-shard disproved"));
  await opens();
});

void t.test("each key is proven by a use of its own", async (t) => {
  const { site, opens } = await unproven({}, ["payroll", "backup"]);
  await opens();
  await site.clock.advance(5000);
  t.match(await key(site), { epoch: 2, reshard: null });
  t.match(await key(site, "backup"), { epoch: 1, reshard: "unproven" });
  await asked(site, "encrypt", { key: "backup" });
  await site.clock.advance(5000);
  t.match(await key(site, "backup"), { epoch: 2, reshard: null });
});

void t.test("a restarted coordinator, and restarted boxes, still wait for the use", async (t) => {
  const { site, opens } = await unproven();
  site.coordinator.stop();
  await site.startCoordinator();
  for (const box of ["box-1", "box-2", "box-3", "box-5"]) await site.restartBox(box);
  await site.clock.advance(10_000);
  t.match(await key(site), { epoch: 1, reshard: "unproven" });
  await opens();
  await site.clock.advance(5000);
  t.match(await key(site), { epoch: 2, reshard: null });
});

void t.test("when the lost box comes back there is a witness more: what waits is given up, and nothing is left of it", async (t) => {
  const { site, opens } = await unproven();
  site.box("box-4").setUp(true);
  await site.clock.until(() => epochs(site)[3] === "none", 60_000, "the attempt is burnt");
  await site.clock.advance(5000);
  t.match(await key(site), { epoch: 1, reshard: null, held: null, holders: ["box-1", "box-2", "box-3", "box-4"] });
  await opens();
});

void t.test("a use of the new shards that nobody approves proves nothing; the next one goes to the present shards, the one after proves", async (t) => {
  const { site, opens } = await unproven({ config: { ...config, operationMs: 5000 } });
  const served: number[] = [];
  const alone = use(site, "cli", { operation: "encrypt" }, (part) => { if (part.state === "accepted") served.push(part.fields.epoch); });
  await t.rejects(finish(site, alone), { code: "TIMED_OUT" });
  const waited = use(site, "cli", { operation: "encrypt" }, (part) => { if (part.state === "accepted") served.push(part.fields.epoch); });
  await touch(site, "box-1", "alice");
  await finish(site, waited);
  t.strictSame(served, [2, 1]);
  t.match(await key(site), { epoch: 1, reshard: "unproven" });
  await opens();
  await site.clock.advance(5000);
  t.match(await key(site), { epoch: 2, reshard: null });
});

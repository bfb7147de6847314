import t from "tap";
import { Shelf } from "../../agent/box/shelf.ts";
import type { Hsm } from "../../agent/hsm/client.ts";
import { clientRequests } from "../../agent/protocol/messages.ts";
import { coordinatorId, InProcessSite } from "../support/in-process-site.ts";
import { consistentDealer, inconsistentDealer, lyingHolder } from "../support/lying-hsm.ts";
import { birth, finish, touch, use } from "../support/use.ts";

const rules = [{ key: "payroll", resource: "**", operations: ["create", "encrypt"], require: [{ role: "officer", people: 1 }], requester: "never", confirm: "none", distinctBoxes: true }];
const people = [{ id: "alice", roles: ["officer"], boxes: ["box-4"] }];

/** Five boxes, one of them a liar; the key is to be refreshed. */
async function refreshed(liar: string, lie: (hsm: Hsm) => Hsm) {
  const errors: string[] = [];
  const log = { info: () => undefined, warn: () => undefined, error: (event: string) => { errors.push(event); } };
  const site = await InProcessSite.start({ people, rules, log, config: { reshardWindowMs: 0 }, hsm: (box, hsm) => (box === liar ? lie(hsm) : hsm) });
  const born = use(site, "cli", birth);
  await touch(site, "box-4", "alice");
  await finish(site, born);
  const { exchange } = site.clients.get("cli")!;
  const { record } = await finish(site, exchange.request(clientRequests, "key-reshard", coordinatorId, { key: "payroll" }, { deadlineMs: 120_000 }), 130_000);
  const status = await finish(site, exchange.request(clientRequests, "status", coordinatorId, {}), 10_000);
  const state = status.boxes.find(({ box }) => box === liar)?.state;
  return { site, record, state, errors, holders: record.holders.map(({ box }) => box) };
}

async function opens(site: InProcessSite): Promise<void> {
  const sealed = use(site, "cli", { operation: "encrypt" });
  await touch(site, "box-4", "alice");
  await finish(site, sealed);
}

void t.test("a dealer that deals noise to one holder and will not open that seal is left out: the re-shard completes without it", async (t) => {
  const { site, record, holders, state } = await refreshed("box-2", inconsistentDealer);
  t.equal(record.epoch, 2);
  t.equal(record.attempt, 3, "the first attempt was burnt, never activated");
  t.notOk(holders.includes("box-2"));
  t.equal(state, "ready", "suspicion is no proof");
  await opens(site);
});

void t.test("a new holder that publishes a lie is named by the one seal that its dealer opens, and is out", async (t) => {
  const { site, holders, state, errors } = await refreshed("box-5", lyingHolder);
  t.equal(state, "quarantined");
  t.ok(errors.includes("re-shard liar named"));
  t.notOk(holders.includes("box-5"));
  await opens(site);
});

void t.test("a dealer that deals another key's sharing is caught by the witnesses, and the re-shard completes without its deal", async (t) => {
  const { site, record } = await refreshed("box-2", consistentDealer);
  t.equal(record.epoch, 2);
  t.ok(record.attempt > 2, "what it dealt was never activated");
  const shelf = new Shelf(site.box("box-1").store, "test", "box-1");
  t.strictSame(shelf.all().filter(({ state }) => state === "old" || state === "next"), []);
  await opens(site);
});

import t from "tap";
import { boxRequests } from "../../agent/protocol/messages.ts";
import { keyRecordHash, type CertifiedRecord } from "../../agent/protocol/key-record.ts";
import { Shelf } from "../../agent/box/shelf.ts";
import { InProcessSite } from "../support/in-process-site.ts";
import { birth, finish, touch, use } from "../support/use.ts";

const rules = [{ key: "payroll", resource: "**", operations: ["create", "encrypt", "unwrap"], require: [{ role: "officer", people: 1 }], requester: "never", confirm: "none", distinctBoxes: true }];
const people = [{ id: "alice", roles: ["officer"], boxes: ["box-1"] }];
const boxes = ["box-1", "box-2", "box-3", "box-4", "box-5"];
type Body = { type: string; data: Record<string, never> };

const site = (): Promise<InProcessSite> => InProcessSite.start({ people, rules });
const shelf = (one: InProcessSite, box: string): Shelf => new Shelf(one.box(box).store, "test", box);
const states = (one: InProcessSite): string[] => boxes.map((box) => shelf(one, box).all().map(({ state }) => state).join() || "none");

/** Calls `act` at the first delivery of a message type; what it returns says whether the message arrives. */
function atFirst(one: InProcessSite, type: string, act: (to: string) => boolean): void {
  const plain = one.hub.onDelivery;
  let done = false;
  one.hub.onDelivery = (delivery) => {
    const { body } = JSON.parse(new TextDecoder().decode(delivery.payload)) as { body: Body };
    if (!done && body.type === type) {
      done = true;
      if (!act(delivery.to)) return;
    }
    plain(delivery);
  };
}

async function create(one: InProcessSite): Promise<unknown> {
  const born = use(one, "cli", birth);
  await touch(one, "box-1", "alice");
  return await finish(one, born);
}

void t.test("a key is born once, everybody holds a shard of one record, and the certificate is kept", async (t) => {
  const one = await site();
  await create(one);
  t.strictSame(states(one), boxes.map(() => "current"));
  const hashes = new Set(boxes.map((box) => keyRecordHash(shelf(one, box).get("payroll", "current")!.record)));
  t.equal(hashes.size, 1);
  await t.rejects(finish(one, use(one, "cli", birth)), { code: "KEY_EXISTS" });
});

void t.test("a holder that is restarted between JOIN and DEAL ends the attempt; the next one has another number", async (t) => {
  const one = await site();
  atFirst(one, "request/birth-deal", (to) => { void one.restartBox(to); return false; });
  await t.rejects(create(one));
  await one.clock.advance(5000);
  t.strictSame(states(one), boxes.map(() => "none"));
  await create(one);
  t.equal(shelf(one, "box-1").get("payroll", "current")!.record.attempt, 2);
});

void t.test("until the certificate nothing is a key: a holder that refuses at PREPARE leaves no current shard anywhere", async (t) => {
  const one = await site();
  atFirst(one, "request/birth-prepare", (to) => { void one.restartBox(to); return false; });
  await t.rejects(create(one));
  t.notOk(states(one).includes("current"));
  await t.rejects(finish(one, use(one, "cli", { operation: "encrypt" })), { code: "NOT_PERMITTED" }, "there is no such key");
  await one.clock.advance(5000);
  await create(one);
  t.strictSame(states(one), boxes.map(() => "current"), "what was prepared and never certified is replaced");
});

void t.test("a box that misses ACTIVATE is shown the certificate after its next heartbeat, also by a restarted coordinator", async (t) => {
  const one = await site();
  let missed = "";
  atFirst(one, "request/activate", (to) => { missed = to; one.box(to).setUp(false); return false; });
  await create(one);
  t.equal(shelf(one, missed).get("payroll", "current"), undefined);
  t.ok(shelf(one, missed).get("payroll", "next"));
  one.coordinator.stop();
  await one.startCoordinator();
  one.box(missed).setUp(true);
  await one.clock.until(() => shelf(one, missed).get("payroll", "current") !== undefined, 60_000, "activated");
  t.equal(shelf(one, missed).get("payroll", "next"), undefined);
});

void t.test("a certificate that is not by all holders, or of another record, activates nothing", async (t) => {
  const one = await site();
  const seen: CertifiedRecord[] = [];
  const plain = one.hub.onDelivery;
  one.hub.onDelivery = (delivery) => {
    const { body } = JSON.parse(new TextDecoder().decode(delivery.payload)) as { body: { type: string; data: CertifiedRecord } };
    // What the coordinator itself sends does not arrive: only what this test makes of it.
    if (body.type === "request/activate" && (seen.length === 0 || JSON.stringify(body.data) === JSON.stringify(seen[0]))) { seen.push(body.data); return; }
    plain(delivery);
  };
  await create(one);
  const certified = seen[0]!;
  const activate = (changed: CertifiedRecord) => finish(one, one.coordinatorExchange.request(boxRequests, "activate", "box-2", changed), 10_000);
  await t.rejects(activate({ ...certified, prepared: certified.prepared.slice(1) }), { code: "CERTIFICATE_INVALID" });
  await t.rejects(activate({ ...certified, prepared: [certified.prepared[1]!, ...certified.prepared.slice(1)] }), { code: "CERTIFICATE_INVALID" }, "one holder twice is not two");
  await t.rejects(activate({ ...certified, record: { ...certified.record, threshold: 2 } }), { code: "CERTIFICATE_INVALID" });
  await t.rejects(activate({ ...certified, prepared: certified.prepared.map((one, i) => (i === 0 ? { ...one, by: "box-2" } : one)) }), { code: "CERTIFICATE_INVALID" });
  t.notOk(states(one).includes("current"));
  one.hub.onDelivery = plain;
  await activate(certified);
  await activate(certified);
  t.equal(shelf(one, "box-2").get("payroll", "current")?.record.threshold, 3, "the right one does, however often it is shown");
});

void t.test("an imported secret is kept under the key and comes out by unwrap", async (t) => {
  const one = await site();
  const secret = new TextEncoder().encode("correct horse battery staple");
  const born = use(one, "cli", { ...birth, payload: secret, create: { ...birth.create!, imported: true } });
  await touch(one, "box-1", "alice");
  await finish(one, born);
  const wrapped = shelf(one, "box-1").get("payroll", "current")!.record.imported!;
  const out = use(one, "cli", { operation: "unwrap", payload: new Uint8Array(Buffer.from(wrapped, "base64url")) });
  await touch(one, "box-1", "alice");
  t.strictSame((await finish(one, out)).result, secret);
});

void t.test("where no zone may hold the threshold a key is refused by name, before anybody is asked for a finger", async (t) => {
  const one = await InProcessSite.start({ people, rules, record: { noZoneHoldsThreshold: true } });
  await t.rejects(finish(one, use(one, "cli", birth)), { code: "ZONE_HOLDS_THRESHOLD", message: /zone here would hold 3 shards of payroll/ });
  t.notOk(one.box("box-1").sensor.isWaiting);
  const spread = await InProcessSite.start({ people, rules, zones: ["a", "a", "b", "b", "c"], record: { noZoneHoldsThreshold: true } });
  await create(spread);
  t.strictSame(states(spread), boxes.map(() => "current"));
});

import t from "tap";
import { wholeStatus, type Status } from "../../agent/client/status.ts";
import type { Request } from "../../agent/client/client.ts";
import { mostMessageBytes } from "../../agent/protocol/envelope.ts";
import { clientRequests } from "../../agent/protocol/messages.ts";
import { makeCurrent } from "../rules/reshard/support.ts";
import { coordinatorId, InProcessSite } from "../support/in-process-site.ts";
import { finish } from "../support/use.ts";

const nameOf = (i: number): string => `key-${String(i).padStart(4, "0")}`.padEnd(32, "k");

/** A site whose coordinator knows so many keys, with names of the greatest length. */
async function begin(count: number) {
  const site = await InProcessSite.start({ people: [], rules: [], keys: Array.from({ length: count }, (_, i) => makeCurrent({ site: "test", key: nameOf(i) })) });
  const { exchange } = site.clients.get("cli")!;
  const request = ((name, data) => exchange.request(clientRequests, name, coordinatorId, data)) as Request;
  return { site, request };
}

void t.test("two thousand keys are told in several messages, each well below the limit, and each key once", async (t) => {
  const { site, request } = await begin(2000);
  const sizes: number[] = [];
  const deliver = site.hub.onDelivery;
  site.hub.onDelivery = (delivery) => {
    if (Buffer.from(delivery.payload).includes('"response/status"')) sizes.push(delivery.payload.length);
    deliver(delivery);
  };
  const first = await finish(site, request("status", {}));
  t.equal(first.next, first.keys.at(-1)!.key);
  const { keys, ...rest } = await finish(site, wholeStatus(request));
  t.strictSame(keys.map(({ key }) => key), Array.from({ length: 2000 }, (_, i) => nameOf(i)));
  t.equal(rest.boxes.length, 5);
  t.notOk("next" in rest);
  t.ok(sizes.length > 3 && sizes.every((size) => size < mostMessageBytes * 0.6), sizes.join(" "));
});

void t.test("a few are one message, as they always were", async (t) => {
  const { site, request } = await begin(3);
  const status = await finish(site, request("status", {}));
  t.strictSame(status.keys.map(({ key }) => key), [nameOf(0), nameOf(1), nameOf(2)]);
  t.notOk("next" in status);
  t.strictSame((await finish(site, request("status", { after: nameOf(1) }))).keys.map(({ key }) => key), [nameOf(2)]);
  t.strictSame((await finish(site, request("status", { after: nameOf(2) }))).keys, []);
});

void t.test("a coordinator that never comes to an end is not asked for ever", async (t) => {
  const page: Status & { next: string } = { site: "demo", coordinator: "coordinator", siteRecord: { version: 1, hash: "A".repeat(43) }, sealed: true, boxes: [], keys: [], operations: 0, hold: null, recovery: null, next: "a" };
  await t.rejects(wholeStatus((() => Promise.resolve(page)) as unknown as Request), { code: "NOT_ACCEPTED" });
});

import t from "tap";
import fc from "fast-check";
import { boxRequests, clientRequests } from "../../agent/protocol/messages.ts";
import { topic } from "../../agent/protocol/topics.ts";
import { isNamed } from "../../agent/runtime/errors.ts";
import { openMemoryStore } from "../support/memory-store.ts";
import { InProcessSite } from "../support/in-process-site.ts";
import { birth, finish, touch, use } from "../support/use.ts";

const rules = [{ key: "payroll", resource: "**", operations: ["create", "encrypt"], require: [{ role: "officer", people: 1 }], requester: "never", confirm: "none", distinctBoxes: true }];
const people = [{ id: "alice", roles: ["officer"], boxes: ["box-1"] }];

/** One real message of every kind that a birth and an operation send, as `request/… → data`. */
async function recorded(site: InProcessSite): Promise<Map<string, unknown>> {
  const seen = new Map<string, unknown>();
  const plain = site.hub.onDelivery;
  site.hub.onDelivery = (delivery) => {
    const { body } = JSON.parse(new TextDecoder().decode(delivery.payload)) as { body: { type: string; data: unknown } };
    if (body.type.startsWith("request/")) seen.set(body.type.slice("request/".length), body.data);
    plain(delivery);
  };
  for (const ask of [birth, { operation: "encrypt" as const }]) {
    const running = use(site, "cli", ask);
    await touch(site, "box-1", "alice");
    await finish(site, running);
  }
  site.hub.onDelivery = plain;
  return seen;
}

const heads = (site: InProcessSite): string => [...[...site.boxes.values()].map(({ disk }) => disk), site.coordinatorDisk].map((disk) => {
  const { commit, records, xor } = openMemoryStore(disk).head;
  return `${commit}/${records}/${Buffer.from(xor).toString("hex")}`;
}).join();

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Exchanges what stands at one path in a value for something else, removes it, or adds a field beside it. */
function mutate(value: Json, choose: (most: number) => number, other: Json): Json {
  if (value === null || typeof value !== "object" || choose(4) === 0) return other;
  const entries: (readonly [string, Json])[] = Array.isArray(value) ? value.map((item, i) => [String(i), item] as const) : Object.entries(value);
  const picked = entries[choose(Math.max(1, entries.length))];
  if (picked === undefined) return other;
  const [key, item] = picked;
  if (Array.isArray(value)) return value.map((one, i) => (String(i) === key ? mutate(item, choose, other) : one));
  const kind = choose(4);
  if (kind === 0) return Object.fromEntries(entries.filter(([name]) => name !== key));
  if (kind === 1) return { ...value, unexpected: other };
  return { ...value, [key]: mutate(item, choose, other) };
}

void t.test("whatever a coordinator or client asks, malformed or replayed in parts: a named answer, and no store changes", async (t) => {
  const site = await InProcessSite.start({ people, rules });
  const seen = await recorded(site);
  const { exchange } = site.clients.get("cli")!;
  const names = [...seen.keys()];
  const before = heads(site);
  const codes = new Set<string>();
  const raw = fc.oneof(fc.constant<Json>(null), fc.constant<Json>(""), fc.constant<Json>(-1), fc.constant<Json>(2 ** 53), fc.constant<Json>([]), fc.constant<Json>({}), fc.string({ maxLength: 50 }).map((text): Json => text), fc.integer().map((n): Json => n));
  await fc.assert(fc.asyncProperty(fc.constantFrom(...names), fc.infiniteStream(fc.nat(1000)), raw, async (name, stream, other) => {
    const changed = mutate(seen.get(name) as Json, (most) => Number(stream.next().value) % most, other);
    if (JSON.stringify(changed) === JSON.stringify(seen.get(name))) return;
    const asked: Promise<unknown> = name in boxRequests
      ? site.coordinatorExchange.request(boxRequests, name as "release", "box-2", changed as never, { deadlineMs: 2000 })
      : exchange.request(clientRequests, name as "cancel", "coordinator", changed as never, { deadlineMs: 2000 });
    const error = await finish(site, asked, 10_000).then(() => undefined, (thrown: unknown) => thrown);
    if (error === undefined) return;
    if (!isNamed(error) || error.code === "INTERNAL" || error.code === "NO_ANSWER") throw new Error(`${name}: ${error instanceof Error ? error.message : ""} for ${JSON.stringify(changed)}`);
    codes.add(error.code);
  }), { numRuns: 400 });
  t.equal(heads(site), before);
  t.ok(codes.has("BAD_REQUEST") && codes.size >= 3, [...codes].join(", "));
});

void t.test("bytes that are no message are dropped by everybody", async (t) => {
  const site = await InProcessSite.start({ people, rules });
  const before = heads(site);
  const anybody = site.hub.connect("anybody");
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 100 }), async (bytes) => {
    await anybody.publish(topic({ kind: "box", box: "box-1", direction: "down", what: "request" }), bytes);
    await anybody.publish(topic({ kind: "box", box: "box-1", direction: "up", what: "heartbeat" }), bytes);
    await anybody.publish(topic({ kind: "coordinator", what: "heartbeat" }), bytes);
  }));
  await site.clock.advance(3000);
  t.equal(heads(site), before);
  const born = use(site, "cli", birth);
  await touch(site, "box-1", "alice");
  await finish(site, born);
  t.pass("and everything still works");
});

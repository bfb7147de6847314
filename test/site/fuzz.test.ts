import t from "tap";
import fc from "fast-check";
import { boxHeartbeat, events } from "../../agent/protocol/heartbeat.ts";
import { boxRequests, clientRequests } from "../../agent/protocol/messages.ts";
import { nextBody } from "../../agent/rules/record-edits.ts";
import { signStatement } from "../../agent/protocol/statement.ts";
import { tamperEvent } from "../../agent/protocol/tamper.ts";
import { topic, type Topic } from "../../agent/protocol/topics.ts";
import { hasCode, isNamed } from "../../agent/runtime/errors.ts";
import { openMemoryStore } from "../support/memory-store.ts";
import { InProcessSite } from "../support/in-process-site.ts";
import { birth, changeRecord, finish, reshard, touch, use } from "../support/use.ts";

const rules = [{ key: "payroll", resource: "**", operations: ["create", "encrypt"], require: [{ role: "officer", people: 1 }], requester: "never", confirm: "none", distinctBoxes: true }]
  .flatMap((one) => [one, { ...one, key: "site", operations: ["record"] }]);
const people = [{ id: "alice", roles: ["officer"], boxes: ["box-1"] }];

type Messages = Map<string, unknown>;

/** What is said from now on, the last of every kind; `end` to hear no more. */
function listen(site: InProcessSite): { requests: Messages; told: Messages; end: () => void } {
  const requests: Messages = new Map();
  const told: Messages = new Map();
  const plain = site.hub.onDelivery;
  site.hub.onDelivery = (delivery) => {
    const { body } = JSON.parse(new TextDecoder().decode(delivery.payload)) as { body: { type: string; data: unknown } };
    const [kind, name = ""] = body.type.split("/");
    if (kind === "request") requests.set(name, body.data);
    if (kind === "event") told.set(name, body.data);
    plain(delivery);
  };
  return { requests, told, end: () => { site.hub.onDelivery = plain; } };
}

/** One message of every kind: real ones of a birth and an operation, and for the rest what the sealed site refuses or has done. */
async function everyMessage(site: InProcessSite): Promise<{ requests: Messages; told: Messages }> {
  const { requests, told, end } = listen(site);
  for (const ask of [birth, { operation: "encrypt" as const }]) {
    const running = use(site, "cli", ask);
    await touch(site, "box-1", "alice");
    await finish(site, running);
  }
  const { exchange } = site.clients.get("cli")!;
  await finish(site, exchange.request(clientRequests, "key-reshard", "coordinator", { key: "payroll" }, { deadlineMs: 60_000 }));
  await site.clock.advance(10_000);
  const change = changeRecord(site, "cli", (record) => ({ ...record, roles: ["officer", "auditor"] }));
  await touch(site, "box-1", "alice");
  await finish(site, change);
  end();
  const { plan } = requests.get("reshard-join") as { plan: unknown };
  const approved = Object.fromEntries(Object.entries((requests.get("prompt") as { fields: object }).fields).filter(([name]) => name !== "enclave"));
  const { record } = site;
  const { people, roles, clients } = record.body;
  const person = { person: "alice", finger: "index" };
  const others = {
    quarantine: { box: "box-9", reason: "HSM_COMPROMISED", since: 1 }, "record-chain": { after: 1 }, "finger-enrol": { ...person, box: "box-1" }, "finger-forget": { ...person, box: "box-1" }, enrol: person, unenrol: person, "prompt-cancel": { digest: "A".repeat(43) },
    probe: { nonce: "A".repeat(22) }, "operation-over": { digest: "A".repeat(43) }, "box-pause": { box: "box-9", forMs: 1000 }, "box-resume": { box: "box-9" }, identify: { forMs: 1000 }, "box-identify": { box: "box-1", forMs: 1000 }, "reshard-burn": { plan }, "reshard-bury": { plan, burns: [] },
    "reshard-resolve": { plan, approval: { fields: approved, evidence: [] } },
    "reshard-reveal": { plan: "A".repeat(43), check: { type: "reshard-check", site: "test", by: "box-1", body: { transcript: "A".repeat(43), holder: null, witness: null }, sig: "A".repeat(86) } },
    hello: { nonce: "A".repeat(22) }, cancel: { request: "A".repeat(22) }, status: {}, "key-show": { key: "payroll" }, "box-approve": { request: { by: "box-1" } },
    "client-approve": { id: "cli", key: clients[0]!.key, tlsKey: "PEM", admin: true }, "site-seal": {}, "person-remove": { person: "alice" }, "box-retire": { box: "box-3" }, "box-invite": { box: "box-9", forMs: 60_000, recipient: clients[0]!.key }, "box-invited": { box: "box-9" }, "box-uninvite": { box: "box-9" }, "client-remove": { client: "cli" },
    "site-apply": { policy: { roles, people: people.map(({ id, roles: own }) => ({ id, roles: own })), clients: [{ id: "cli", admin: true }], rules: record.body.rules } },
    "person-enrol": { ...person, box: "box-1", roles: ["officer"] },
    "recovery-key": { recovery: { key: clients[0]!.key, delayMs: 1000 } }, "site-recover": { body: nextBody(record, (one) => one), recovery: "A".repeat(86) },
  };
  for (const [name, data] of Object.entries(others)) if (!requests.has(name)) requests.set(name, data);
  const { hsm } = site.box("box-2");
  const tampered = await signStatement({ sign: (message) => hsm.sign("identity", message) }, "tampered", "test", "box-2", { counter: 1, cause: "opened" as const, since: 1 });
  for (const [name, data] of Object.entries({ record: { record }, state: { state: "lost" }, event: { what: "tampered", tampered, acknowledged: null } })) if (!told.has(name)) told.set(name, data);
  return { requests, told };
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

const raw = fc.oneof(fc.constant<Json>(null), fc.constant<Json>(""), fc.constant<Json>(-1), fc.constant<Json>(2 ** 53), fc.constant<Json>([]), fc.constant<Json>({}), fc.string({ maxLength: 50 }).map((text): Json => text), fc.integer().map((n): Json => n));

/** Runs `say` with messages of all kinds, each changed somewhere. */
async function changedMessages(kinds: Messages, numRuns: number, say: (name: string, changed: Json) => Promise<void>): Promise<void> {
  await fc.assert(fc.asyncProperty(fc.constantFrom(...kinds.keys()), fc.infiniteStream(fc.nat(1000)), raw, async (name, stream, other) => {
    const changed = mutate(kinds.get(name) as Json, (most) => Number(stream.next().value) % most, other);
    if (JSON.stringify(changed) !== JSON.stringify(kinds.get(name))) await say(name, changed);
  }), { numRuns });
}

void t.test("whatever a coordinator or client asks, malformed or replayed in parts: a named answer, and no store changes", async (t) => {
  const site = await InProcessSite.start({ people, rules });
  const { requests } = await everyMessage(site);
  t.strictSame([...requests.keys()].sort(), [...Object.keys(boxRequests), ...Object.keys(clientRequests)].sort(), "every request that there is");
  const { exchange } = site.clients.get("cli")!;
  const before = heads(site);
  const codes = new Map<string, Set<string>>();
  await changedMessages(requests, 800, async (name, changed) => {
    const asked: Promise<unknown> = name in boxRequests
      ? site.coordinatorExchange.request(boxRequests, name as "release", "box-2", changed as never, { deadlineMs: 2000 })
      : exchange.request(clientRequests, name as "cancel", "coordinator", changed as never, { deadlineMs: 2000 });
    const error = await finish(site, asked, 10_000).then(() => undefined, (thrown: unknown) => thrown);
    if (error === undefined) return;
    // Of a finger that is not known yet: it waits for a touch.
    if (/enrol$/.test(name) && hasCode(error, "NO_ANSWER")) return;
    if (!isNamed(error) || error.code === "INTERNAL" || error.code === "NO_ANSWER") throw new Error(`${name}: ${error instanceof Error ? error.message : ""} for ${JSON.stringify(changed)}`);
    codes.set(name, (codes.get(name) ?? new Set()).add(error.code));
  });
  t.equal(heads(site), before);
  for (const name of requests.keys()) t.ok(codes.get(name)?.has("BAD_REQUEST"), `${name}: ${[...codes.get(name) ?? []].join(", ")}`);
});

void t.test("a re-shard that people approved, changed anywhere or replayed: nobody joins it", async (t) => {
  const site = await InProcessSite.start({ people, rules: [{ ...rules[0], operations: ["create", "reshard"] }] });
  const born = use(site, "cli", birth);
  await touch(site, "box-1", "alice");
  await finish(site, born);
  const { requests, end } = listen(site);
  const asked = reshard(site, { threshold: 2, size: 4, margin: 1, holders: ["box-1", "box-2", "box-3", "box-4"] });
  await touch(site, "box-1", "alice");
  await finish(site, asked);
  await site.clock.advance(10_000);
  end();
  const before = heads(site);
  const kinds: Messages = new Map(["use", "prompt", "reshard-join"].map((name) => [name, requests.get(name)]));
  const { exchange } = site.clients.get("cli")!;
  await changedMessages(kinds, 400, async (name, changed) => {
    const said: Promise<unknown> = name === "use" ? exchange.request(clientRequests, name, "coordinator", changed as never, { deadlineMs: 2000 })
      : site.coordinatorExchange.request(boxRequests, name as "reshard-join", "box-5", changed as never, { deadlineMs: 2000 });
    const error = await finish(site, said, 10_000).then(() => undefined, (thrown: unknown) => thrown);
    // The very plan once more gives the very JOIN once more. A prompt waits: a finger would approve just these other fields.
    const plan = (message: unknown): string => JSON.stringify((message as { plan?: unknown }).plan);
    if (name === "reshard-join" ? error === undefined && plan(changed) === plan(requests.get(name)) : name === "prompt" && isNamed(error) && error.code === "NO_ANSWER") return;
    if (!isNamed(error) || error.code === "INTERNAL" || error.code === "NO_ANSWER") throw new Error(`${name} was taken: ${JSON.stringify(changed)}`);
  });
  t.equal(heads(site), before);
});

void t.test("whatever is told, malformed: nobody changes a store or stops working", async (t) => {
  const site = await InProcessSite.start({ people, rules });
  const { told } = await everyMessage(site);
  t.strictSame([...told.keys()].sort(), Object.keys(events).sort(), "every event that there is");
  const before = heads(site);
  const places: Record<string, Topic> = {
    coordinator: { kind: "coordinator", what: "heartbeat" }, record: { kind: "site", what: "record" }, heartbeat: { kind: "box", box: "box-2", direction: "up", what: "heartbeat" },
    state: { kind: "box", box: "box-2", direction: "up", what: "state" }, event: { kind: "box", box: "box-2", direction: "up", what: "event" },
  };
  const say = async (name: string, data: unknown): Promise<void> => {
    const { exchange } = name === "coordinator" || name === "record" ? { exchange: site.coordinatorExchange } : site.box("box-2");
    await exchange.tell(topic(places[name]!), name as "state", data, name === "heartbeat" || name === "event" ? { to: "coordinator" } : {}).catch((error: unknown) => {
      if (!hasCode(error, "ENCODING_INVALID")) throw error; // a number that cannot be signed is not sent
    });
    await site.clock.advance(20);
  };
  const signed = JSON.stringify((told.get("event") as { tampered: unknown }).tampered);
  await changedMessages(told, 400, async (name, changed) => {
    // What the box did sign is true, whoever it says has noted it.
    if (name === "event" && JSON.stringify(tamperEvent.safeParse(changed).data?.tampered) === signed) return;
    // A heartbeat that is none the less one is a box's own word of itself, and may rightly cost it its place: another inventory, a counter far ahead.
    if (name === "heartbeat" && boxHeartbeat.safeParse(changed).success) return;
    await say(name, changed);
  });
  await site.clock.advance(10_000);
  t.equal(heads(site), before);
  const running = use(site, "cli", { operation: "encrypt" });
  await touch(site, "box-1", "alice");
  t.ok(await finish(site, running), "and everything still works");
  await say("event", told.get("event"));
  const { boxes } = await finish(site, site.clients.get("cli")!.exchange.request(clientRequests, "status", "coordinator", {}));
  t.equal(boxes[1]?.state, "quarantined", "unchanged it is believed");
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

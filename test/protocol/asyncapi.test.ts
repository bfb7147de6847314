import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { parse } from "yaml";
import { z } from "zod";
import { root } from "#paths";
import { mayRead, mayWrite } from "../../agent/mqtt/rights.ts";
import { envelope } from "../../agent/protocol/envelope.ts";
import { events } from "../../agent/protocol/heartbeat.ts";
import { boxRequests, clientRequests } from "../../agent/protocol/messages.ts";
import { parseTopic, topic, type Topic } from "../../agent/protocol/topics.ts";

const reference = z.strictObject({ $ref: z.string().regex(/^#\//) });
const typed = z.object({ properties: z.object({ body: z.object({ properties: z.object({ type: z.object({ enum: z.array(z.string()) }) }) }) }) });
const document = z.object({
  asyncapi: z.literal("3.0.0"),
  channels: z.record(z.string(), z.object({ address: z.string(), parameters: z.record(z.string(), reference).optional(), messages: z.record(z.string(), reference) })),
  operations: z.record(z.string(), z.object({ action: z.enum(["send", "receive"]), channel: reference })),
  components: z.object({
    messages: z.record(z.string(), z.object({ payload: z.union([reference, z.object({ allOf: z.tuple([reference, typed]) })]) })),
    schemas: z.record(z.string(), z.unknown()),
  }),
});
const raw: unknown = parse(readFileSync(join(root, "docs/asyncapi.yaml"), "utf8"));
const { channels, operations, components } = document.parse(raw);

const ups = ["state", "heartbeat", "event", "response", "request"] as const;
const downs = ["request", "response"] as const;
const every: readonly Topic[] = [
  ...ups.flatMap((what): Topic[] => [{ kind: "box", box: "b", direction: "up", what }, { kind: "client", client: "c", direction: "up", what }]),
  ...downs.flatMap((what): Topic[] => [{ kind: "box", box: "b", direction: "down", what }, { kind: "client", client: "c", direction: "down", what }]),
  { kind: "coordinator", what: "state" }, { kind: "coordinator", what: "heartbeat" }, { kind: "site", what: "record" }, { kind: "site", what: "event" },
];
const example = (address: string): string => address.replace("{box}", "b").replace("{client}", "c");

function resolve(ref: string): unknown {
  return ref.slice(2).split("/").reduce<unknown>((at, key) => (typeof at === "object" && at !== null ? Object.entries(at).find(([name]) => name === key)?.[1] : undefined), raw);
}

void t.test("its channels are the topics", (c) => {
  c.same(Object.values(channels).map(({ address }) => example(address)).toSorted(), every.map(topic).toSorted());
  for (const { address, parameters = {} } of Object.values(channels)) {
    c.not(parseTopic(example(address)), null, address);
    c.same(Object.keys(parameters), [...address.matchAll(/\{(\w+)\}/g)].map(([, name]) => name), address);
  }
  c.end();
});

void t.test("its operations are what the coordinator may do", (c) => {
  c.equal(Object.keys(operations).length, Object.keys(channels).length);
  for (const { action, channel } of Object.values(operations)) {
    const text = example(channels[channel.$ref.replace("#/channels/", "")]?.address ?? "");
    c.ok(action === "send" ? mayWrite("coordinator", "coordinator", text) : mayRead("coordinator", "coordinator", text), `${action} ${text}`);
  }
  c.end();
});

void t.test("its message types are those that are spoken", (c) => {
  const types = Object.values(components.messages).flatMap(({ payload }) => ("allOf" in payload ? payload.allOf[1].properties.body.properties.type.enum : []));
  const spoken = [...Object.keys(events).map((name) => `event/${name}`), ...[boxRequests, clientRequests].flatMap((table) => Object.keys(table).flatMap((name) => [`request/${name}`, `response/${name}`]))];
  c.same(types.toSorted(), spoken.toSorted());
  c.end();
});

void t.test("its envelope is the schema that is enforced, and every reference leads somewhere", (c) => {
  // `data` is any JSON here, which zod would write as a schema that refers to itself.
  const data = { description: "Any JSON; its shape goes by the type." };
  const { $schema, $defs, ...enforced } = z.toJSONSchema(envelope, { unrepresentable: "any" });
  c.ok($schema && $defs);
  c.same(components.schemas["envelope"], JSON.parse(JSON.stringify(enforced, (key, value: unknown) => (key === "data" ? data : value))));
  const refs = [...JSON.stringify(raw).matchAll(/"\$ref":"([^"]+)"/g)].map(([, ref]) => ref ?? "");
  c.ok(refs.length > 60);
  for (const ref of refs) c.not(resolve(ref), undefined, ref);
  c.end();
});

import t from "tap";
import fc from "fast-check";
import { everybodyUp, parseTopic, topic, TopicError, type Topic } from "../../agent/protocol/topics.ts";

const ups = ["state", "heartbeat", "event", "response", "request"] as const;
const downs = ["request", "response"] as const;

void t.test("every topic of design §5, literally", (c) => {
  const all: [Topic, string][] = [
    ...ups.map((what): [Topic, string] => [{ kind: "box", box: "box-1", direction: "up", what }, `shardkeep/v1/box/box-1/up/${what}`]),
    ...downs.map((what): [Topic, string] => [{ kind: "box", box: "box-1", direction: "down", what }, `shardkeep/v1/box/box-1/down/${what}`]),
    ...ups.map((what): [Topic, string] => [{ kind: "client", client: "alice", direction: "up", what }, `shardkeep/v1/client/alice/up/${what}`]),
    ...downs.map((what): [Topic, string] => [{ kind: "client", client: "alice", direction: "down", what }, `shardkeep/v1/client/alice/down/${what}`]),
    [{ kind: "coordinator", what: "state" }, "shardkeep/v1/coordinator/state"],
    [{ kind: "coordinator", what: "heartbeat" }, "shardkeep/v1/coordinator/heartbeat"],
    [{ kind: "site", what: "record" }, "shardkeep/v1/site/record"],
    [{ kind: "site", what: "event" }, "shardkeep/v1/site/event"],
  ];
  for (const [value, text] of all) {
    c.equal(topic(value), text);
    c.same(parseTopic(text), value);
  }
  c.equal(new Set(all.map(([, text]) => text)).size, 18);
  c.same(everybodyUp, ["shardkeep/v1/box/+/up/+", "shardkeep/v1/client/+/up/+"]);
  c.end();
});

void t.test("everything else is none of ours", (c) => {
  const refused = [
    "", "/", "shardkeep", "shardkeep/v1", "shardkeep/v1/", "shardkeep/v2/site/record", "Shardkeep/v1/site/record", "x/shardkeep/v1/site/record",
    "/shardkeep/v1/site/record", "shardkeep/v1/site/record/", "shardkeep/v1/site/record/x", "shardkeep/v1/site/state", "shardkeep/v1/site", "shardkeep/v1/site/",
    "shardkeep/v1/coordinator/record", "shardkeep/v1/coordinator/request", "shardkeep/v1/coordinator/state ", "shardkeep/v1/coordinator/up/state",
    "shardkeep/v1/box/box-1", "shardkeep/v1/box/box-1/up", "shardkeep/v1/box/box-1/up/", "shardkeep/v1/box/box-1/up/state/", "shardkeep/v1/box/box-1/up/state/x",
    "shardkeep/v1/box/box-1/down/state", "shardkeep/v1/box/box-1/down/heartbeat", "shardkeep/v1/box/box-1/down/event", "shardkeep/v1/box/box-1/sideways/request",
    "shardkeep/v1/box/box-1/up/constructor", "shardkeep/v1/box//up/state", "shardkeep/v1/box/Box-1/up/state", "shardkeep/v1/box/box_1/up/state",
    "shardkeep/v1/box/box.1/up/state", "shardkeep/v1/box/bóx/up/state", `shardkeep/v1/box/${"b".repeat(33)}/up/state`, "shardkeep/v1/box/box-1\n/up/state",
    "shardkeep/v1/box/+/up/state", "shardkeep/v1/box/#", "shardkeep/v1/box/box-1/up/+", "shardkeep/v1/box/box-1/up/#", "#", "+/v1/site/record", "$SYS/broker",
    "shardkeep/v1/people/box-1/up/state", "shardkeep/v1/client/alice/down/event",
  ];
  for (const text of refused) c.equal(parseTopic(text), null, JSON.stringify(text));
  c.end();
});

const id = fc.stringMatching(/^[a-z0-9-]{1,32}$/);
const anyTopic: fc.Arbitrary<Topic> = fc.oneof(
  fc.record({ kind: fc.constant("box" as const), box: id, direction: fc.constant("up" as const), what: fc.constantFrom(...ups) }),
  fc.record({ kind: fc.constant("box" as const), box: id, direction: fc.constant("down" as const), what: fc.constantFrom(...downs) }),
  fc.record({ kind: fc.constant("client" as const), client: id, direction: fc.constant("up" as const), what: fc.constantFrom(...ups) }),
  fc.record({ kind: fc.constant("client" as const), client: id, direction: fc.constant("down" as const), what: fc.constantFrom(...downs) }),
  fc.record({ kind: fc.constant("coordinator" as const), what: fc.constantFrom("state" as const, "heartbeat" as const) }),
  fc.record({ kind: fc.constant("site" as const), what: fc.constantFrom("record" as const, "event" as const) }),
);

void t.test("builder and parser are inverse", (c) => {
  fc.assert(fc.property(anyTopic, (value) => { c.same(parseTopic(topic(value)), value); }), { numRuns: 300 });
  fc.assert(fc.property(anyTopic, fc.nat(), fc.string({ maxLength: 3 }), (value, at, noise) => {
    const text = topic(value);
    const changed = text.slice(0, at % text.length) + noise + text.slice((at % text.length) + 1);
    const parsed = parseTopic(changed);
    return parsed === null || topic(parsed) === changed;
  }), { numRuns: 2000 });
  c.end();
});

void t.test("a name that is no id builds no topic", (c) => {
  for (const box of ["", "a/b", "+", "#", "box-1/up/state", "A", "b".repeat(33), "box 1"]) {
    c.throws(() => topic({ kind: "box", box, direction: "up", what: "state" }), TopicError, box);
  }
  c.end();
});

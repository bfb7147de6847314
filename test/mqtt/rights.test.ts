import t from "tap";
import { mayRead, maySubscribe, mayWrite, type Kind } from "../../agent/mqtt/rights.ts";
import { everybodyUp, topic, type Topic } from "../../agent/protocol/topics.ts";

const ups = ["state", "heartbeat", "event", "response", "request"] as const;
const downs = ["request", "response"] as const;
const all: readonly Topic[] = [
  ...["box-1", "box-2", "alice", "coordinator"].flatMap((name): Topic[] => [
    ...ups.map((what): Topic => ({ kind: "box", box: name, direction: "up", what })),
    ...downs.map((what): Topic => ({ kind: "box", box: name, direction: "down", what })),
    ...ups.map((what): Topic => ({ kind: "client", client: name, direction: "up", what })),
    ...downs.map((what): Topic => ({ kind: "client", client: name, direction: "down", what })),
  ]),
  { kind: "coordinator", what: "state" }, { kind: "coordinator", what: "heartbeat" }, { kind: "site", what: "record" }, { kind: "site", what: "event" },
];
const texts = all.map(topic);
const shared = texts.filter((text) => /v1\/(coordinator|site)\/[^/]+$/.test(text));
const under = (prefix: string): string[] => texts.filter((text) => text.startsWith(`shardkeep/v1/${prefix}`));

void t.test("the whole ACL of design §5", (c) => {
  const rows: [Kind, string, { write: string[]; read: string[] }][] = [
    ["box", "box-1", { write: under("box/box-1/up/"), read: [...under("box/box-1/down/"), ...shared] }],
    ["client", "alice", { write: under("client/alice/up/"), read: [...under("client/alice/down/"), ...shared] }],
    ["coordinator", "coordinator", { write: [...texts.filter((text) => text.includes("/down/")), ...shared], read: [...texts.filter((text) => text.includes("/up/")), ...shared] }],
  ];
  for (const [kind, name, { write, read }] of rows) {
    c.same(texts.filter((text) => mayWrite(kind, name, text)).toSorted(), write.toSorted(), `${name} writes`);
    c.same(texts.filter((text) => mayRead(kind, name, text)).toSorted(), read.toSorted(), `${name} reads`);
    c.same(texts.filter((text) => maySubscribe(kind, name, text)).toSorted(), read.toSorted(), `${name} subscribes`);
    const wild = ["#", "+", "shardkeep/#", "shardkeep/v1/#", `shardkeep/v1/${kind}/${name}/#`, "shardkeep/v1/site/+", "$SYS/#", "$share/g/shardkeep/v1/site/record", ...everybodyUp];
    c.same(wild.filter((filter) => maySubscribe(kind, name, filter)), kind === "coordinator" ? [...everybodyUp] : [], `${name} and wildcards`);
    for (const text of [...wild, "", "x", "shardkeep/v1/site"]) c.notOk(mayWrite(kind, name, text) || mayRead(kind, name, text), text);
  }
  c.end();
});

import t from "tap";
import type { EventMeta } from "../../agent/mqtt/exchange.ts";
import { SeenMessages } from "../../agent/mqtt/seen.ts";
import { approvalWindowMs } from "../../agent/protocol/nonces.ts";
import { toBase64url } from "../../agent/runtime/encoding.ts";
import { ShardkeepError } from "../../agent/runtime/errors.ts";
import { systemRandom } from "../../agent/runtime/random.ts";
import { settle } from "../support/virtual-clock.ts";
import { answersOf, ask, bodyOf, scene, table } from "./support/parties.ts";

void t.test("a request is answered, its parts come before its answer, and a part that is none is dropped", async (t) => {
  const given: unknown[] = [{ step: 1 }, { step: "two" }, { step: 3 }];
  const { a, b, sent, raw } = await scene({ add: async ({ a: x, b: y }, { part }) => { for (const one of given) part(one as { step: number }); await settle(); return { sum: x + y }; } });
  const parts: unknown[] = [];
  t.strictSame(await a.exchange.request(table, "add", "b", ask, { onPart: (part) => { parts.push(part); } }), { sum: 5 });
  t.strictSame(parts, [{ step: 1 }, { step: 3 }]);
  await raw(b, { to: "a", type: "response/add", re: bodyOf(sent[0]!).id, more: true }, { step: 4 });
  t.equal(parts.length, 2, "nor does one that comes after the answer count");
});

void t.test("the handler is told who asks, in which session, and for how long", async (t) => {
  const { a, c, books, calls, raw } = await scene();
  await a.exchange.request(table, "add", "b", ask, { deadlineMs: 1234 });
  const id = toBase64url(systemRandom.bytes(16));
  for (const from of [a, c]) await raw(from, { id, fresh: books.get("b")!.issue() }, ask);
  t.strictSame(calls, [[ask, "a", a.boot, 1234], [ask, "a", a.boot, 5000], [ask, "c", c.boot, 5000]], "the same id of another sender is another message");
});

void t.test("a repeated request is acted on once and answered again with the same answer", async (t) => {
  const { a, sent, calls } = await scene();
  await a.exchange.request(table, "add", "b", ask);
  const [request] = sent;
  request!.deliver();
  request!.deliver();
  await settle();
  t.equal(calls.length, 1);
  const answers = answersOf(sent);
  t.equal(answers.length, 3);
  for (const { payload, to } of answers) t.strictSame([payload, to], [answers[0]!.payload, "a"]);
});

void t.test("while it is acted on, a repeated request is neither acted on nor answered", async (t) => {
  let calls = 0;
  let answer: (value: { sum: number }) => void = () => undefined;
  const { a, sent } = await scene({ add: () => { calls += 1; return new Promise((resolve) => { answer = resolve; }); } });
  const asked = a.exchange.request(table, "add", "b", ask);
  await settle();
  sent[0]!.deliver();
  await settle();
  t.strictSame([calls, answersOf(sent).length], [1, 0]);
  answer({ sum: 7 });
  t.strictSame(await asked, { sum: 7 });
});

void t.test("an answer counts from the one who was asked, to the request that was made, in words that the table has", async (t) => {
  const { a, b, c, sent, raw } = await scene({ add: () => new Promise(() => undefined) });
  const asked = a.exchange.request(table, "add", "b", ask);
  await settle();
  const re = bodyOf(sent[0]!).id;
  await raw(c, { to: "a", type: "response/add", re }, { value: { sum: 666 } });
  await raw(b, { to: "a", type: "response/add" }, { value: { sum: 667 } });
  await raw(b, { to: "a", type: "response/add", re: toBase64url(new Uint8Array(16)) }, { value: { sum: 668 } });
  await raw(b, { to: "a", type: "response/add", re }, { value: { sum: 5 } });
  await raw(b, { to: "a", type: "response/add", re }, { value: { sum: 669 } });
  t.strictSame(await asked, { sum: 5 });
  for (const answer of [{ value: { sum: "five" } }, { sum: 5 }, { value: { sum: 5 }, error: { code: "X", message: "x" } }, { error: { code: 5, message: "x" } }]) {
    const again = t.rejects(a.exchange.request(table, "add", "b", ask), { code: "BAD_ANSWER" }, JSON.stringify(answer));
    await settle();
    await raw(b, { to: "a", type: "response/add", re: bodyOf(sent.at(-1)!).id }, answer);
    await again;
  }
});

void t.test("the other side's error arrives by its name; an unexpected one without its text", async (t) => {
  const errors = [new ShardkeepError("WHY_NOT", "because", { remedy: "do this", retryable: true, cause: "secret" }), new ShardkeepError("PLAIN", "plainly"), new TypeError("secret")];
  const { a, sent, logged } = await scene({ add: () => Promise.reject(errors.shift()!) });
  await t.rejects(a.exchange.request(table, "add", "b", ask), { code: "WHY_NOT", message: "because", remedy: "do this", retryable: true });
  await t.rejects(a.exchange.request(table, "add", "b", ask), { code: "PLAIN", message: "plainly", remedy: undefined, retryable: false });
  t.strictSame(logged, [], "a named error is an answer, no accident");
  await t.rejects(a.exchange.request(table, "add", "b", ask), { code: "INTERNAL" });
  t.notMatch(new TextDecoder().decode(sent.at(-1)!.payload), "secret");
  t.strictSame(logged, ["request failed"]);
});

void t.test("without a recent nonce of the receiver nothing is acted on, but a first word", async (t) => {
  const { a, clock, books, heard, calls, raw, sent } = await scene();
  const old = books.get("b")!.issue();
  heard.freshOf = () => old;
  await clock.advance(approvalWindowMs);
  await a.exchange.request(table, "add", "b", ask);
  await clock.advance(1);
  const stale = { code: "NOT_FRESH", retryable: true };
  await t.rejects(a.exchange.request(table, "add", "b", ask), stale, "the window is over");
  heard.freshOf = () => books.get("c")!.issue();
  await t.rejects(a.exchange.request(table, "add", "b", ask), stale, "a nonce of somebody else");
  await raw(a, {}, ask);
  t.match(bodyOf(sent.at(-1)!).data, { error: { code: "NOT_FRESH" } }, "none at all");
  t.equal(calls.length, 1);
  heard.freshOf = () => undefined;
  const before = sent.length;
  await t.rejects(a.exchange.request(table, "add", "b", ask), { code: "NO_ANSWER", retryable: true }, "who has not been heard is not asked");
  t.equal(sent.length, before);
  t.strictSame(await a.exchange.request(table, "hello", "b", {}), {});
});

void t.test("what is recorded and played back after the window is stale", async (t) => {
  const { a, clock, sent, calls } = await scene();
  await a.exchange.request(table, "add", "b", ask);
  await clock.advance(approvalWindowMs + 1);
  await a.exchange.request(table, "hello", "b", {}); // makes room in b's memory
  sent[0]!.deliver();
  await settle();
  t.strictSame(calls.length, 2);
  t.match(bodyOf(sent.at(-1)!).data, { error: { code: "NOT_FRESH" } });
});

void t.test("what the table does not have, or nobody serves, or has a bad field, is refused by name", async (t) => {
  const { a, books, calls, raw, sent } = await scene();
  for (const [type, data, code] of [
    ["request/subtract", ask, "UNKNOWN_REQUEST"], ["request/toString", {}, "UNKNOWN_REQUEST"], ["request/unserved", {}, "UNKNOWN_REQUEST"],
    ["request/add", { ...ask, c: 1 }, "BAD_REQUEST"], ["request/add", { a: 2 }, "BAD_REQUEST"], ["request/add", null, "BAD_REQUEST"],
  ] as const) {
    await raw(a, { type, fresh: books.get("b")!.issue() }, data);
    t.match(bodyOf(sent.at(-1)!), { to: "a", data: { error: { code } } }, `${type} ${JSON.stringify(data)}`);
  }
  const before = sent.length;
  await raw(a, { type: "gossip", fresh: books.get("b")!.issue() }, ask);
  t.strictSame([calls, sent.length], [[], before + 1], "what is neither request, answer nor event is dropped");
});

void t.test("no answer by the deadline is an error by then, not before, and a later answer is none", async (t) => {
  const { a, clock, sent, b, raw } = await scene({ add: () => new Promise(() => undefined) });
  const ended: unknown[] = [];
  for (const deadlineMs of [undefined, 700]) {
    a.exchange.request(table, "add", "b", ask, deadlineMs === undefined ? {} : { deadlineMs }).catch((error: unknown) => { ended.push(error); });
    await clock.advance((deadlineMs ?? 5000) - 1);
    t.equal(ended.length, 0);
    await clock.advance(1);
    t.match(ended.pop(), { code: "NO_ANSWER", retryable: true });
  }
  await raw(b, { to: "a", type: "response/add", re: bodyOf(sent[0]!).id }, { value: { sum: 5 } });
  const before = sent.length;
  await clock.advance(60_000);
  t.equal(sent.length, before, "nor is it asked any more");
});

void t.test("a request that is lost is sent again, word for word, until it is answered", async (t) => {
  const { a, clock, hub, sent, calls, logged } = await scene();
  let lose = 2;
  hub.onDelivery = (delivery) => { sent.push(delivery); if (lose-- <= 0) queueMicrotask(delivery.deliver); };
  const asked = a.exchange.request(table, "add", "b", ask, { deadlineMs: 60_000 });
  await clock.advance(5999);
  t.equal(sent.length, 2);
  await clock.advance(1);
  t.strictSame(await asked, { sum: 5 });
  t.strictSame(sent.slice(1, 3).map(({ payload }) => payload), [sent[0]!.payload, sent[0]!.payload]);
  await clock.advance(60_000);
  t.strictSame([sent.length, calls.length], [4, 1], "three times asked, once answered, then silence");
  a.transport.setUp(false);
  const later = a.exchange.request(table, "add", "b", ask);
  await clock.advance(1000);
  t.strictSame(logged, ["request not sent"]);
  a.transport.setUp(true);
  await clock.advance(2000);
  t.strictSame(await later, { sum: 5 }, "and a connection that comes back carries it");
});

void t.test("an event is heard once, and fresh only by a nonce of its hearer", async (t) => {
  const { a, b, sent, heard, books } = await scene();
  const events: [string, unknown, EventMeta][] = [];
  b.exchange.onEvent((...event) => { events.push(event); });
  await a.exchange.tell("all", "event", { what: "x" }, { to: "b" });
  await a.exchange.tell("all", "event", { what: "y" });
  heard.freshOf = () => books.get("c")!.issue();
  await a.exchange.tell("all", "event", { what: "z" }, { to: "b" });
  for (const delivery of [...sent]) delivery.deliver();
  await settle();
  const meta = { from: "a", boot: a.boot };
  t.strictSame(events, [["event", { what: "x" }, { ...meta, fresh: true }], ["event", { what: "y" }, { ...meta, fresh: false }], ["event", { what: "z" }, { ...meta, fresh: false }]]);
});

void t.test("a retained event is there for whoever comes later, and no other is", async (t) => {
  const { a, hub } = await scene();
  for (const retain of [undefined, true]) {
    await a.exchange.tell(`later/${String(retain)}`, "state", { state: "ready" }, retain === undefined ? {} : { retain });
    let seen = 0;
    const late = hub.connect("late");
    late.onMessage(() => { seen += 1; });
    await late.subscribe([`later/${String(retain)}`]);
    await settle();
    t.equal(seen, retain === true ? 1 : 0);
  }
});

void t.test("what is no message of this site is dropped, and a full memory lets nothing in", async (t) => {
  const { a, b, c, calls, logged } = await scene();
  await a.transport.publish("b/request", new TextEncoder().encode("{}"));
  await settle();
  t.strictSame(logged, ["message dropped"]);
  t.intercept(SeenMessages.prototype, "note", { value: () => ({ state: "full" }) });
  let events = 0;
  b.exchange.onEvent(() => { events += 1; });
  await c.exchange.tell("all", "event", { what: "x" });
  const asked = a.exchange.request(table, "add", "b", ask).catch(() => undefined);
  await settle();
  t.strictSame([calls, events], [[], 0]);
  t.ok(logged.includes("too many messages"));
  void asked;
});

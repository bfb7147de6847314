import t from "tap";
import fc from "fast-check";
import { openOperation, stepOperation, type OperationEffect, type OperationEvent, type OperationState } from "../../agent/rules/operation.ts";

const boxes = ["a", "b", "c", "d", "e"];

/** Plays events from the beginning; gives the last state and all effects in order. */
function play(events: readonly OperationEvent[], from: OperationState = openOperation("use", 3, boxes, 3)): { state: OperationState; effects: OperationEffect[] } {
  let state = from;
  const effects: OperationEffect[] = [];
  for (const event of events) {
    const step = stepOperation(state, event);
    state = step.state;
    effects.push(...step.effects);
  }
  return { state, effects };
}
const toChallenge: readonly OperationEvent[] = [{ type: "payload" }, { type: "evidence", satisfied: true }];
const good = (box: string): OperationEvent => ({ type: "answer", box, verdict: "good" });
const answer = (box: string, verdict: "wrong" | "refused" | "silent", code?: string): OperationEvent => ({ type: "answer", box, verdict, ...(code === undefined ? {} : { code }) });
const shard = (box: string): OperationEvent => ({ type: "shard", box });
const last = (effects: readonly OperationEffect[]): OperationEffect | undefined => effects.at(-1);

void t.test("the straight path", async (t) => {
  const { effects, state } = play([...toChallenge, ...boxes.map(good), shard("a"), shard("b"), shard("c"), { type: "computed" }]);
  t.strictSame(effects, [
    { do: "prompt" }, { do: "challenge" }, { do: "grace" }, { do: "release", boxes: ["a", "b", "c"] }, { do: "compute", boxes: ["a", "b", "c"] }, { do: "finish", error: null },
  ]);
  t.equal(state.phase, "done");
});

void t.test("release waits for all, or for t and the grace", async (t) => {
  t.strictSame(last(play([...toChallenge, good("a"), good("b")]).effects), { do: "challenge" });
  t.strictSame(last(play([...toChallenge, good("a"), good("b"), good("c")]).effects), { do: "grace" });
  t.strictSame(last(play([...toChallenge, good("a"), good("b"), good("c"), { type: "grace-over" }]).effects), { do: "release", boxes: ["a", "b", "c"] });
  t.strictSame(last(play([...toChallenge, good("a"), good("b"), { type: "grace-over" }]).effects), { do: "challenge" }, "the grace alone releases nothing");
});

void t.test("a wrong answer ends it, first, last and late, and nothing is released after it", async (t) => {
  for (const events of [[answer("a", "wrong")], [good("a"), good("b"), good("c"), answer("d", "wrong")], [...boxes.slice(1).map(good), answer("a", "wrong")]]) {
    const { effects } = play([...toChallenge, ...events, { type: "grace-over" }, shard("b"), shard("c"), shard("d")]);
    t.same(effects.filter((effect) => effect.do === "quarantine").length, 1);
    t.strictSame(last(effects), { do: "finish", error: "HSM_COMPROMISED" });
  }
  const late = play([...toChallenge, good("a"), good("b"), good("c"), { type: "grace-over" }, answer("e", "wrong")]);
  t.strictSame(late.effects.slice(-2), [{ do: "quarantine", box: "e" }, { do: "finish", error: "HSM_COMPROMISED" }], "also when shards are on their way");
  const over = play([...toChallenge, ...boxes.map(good), shard("a"), shard("b"), shard("c"), { type: "computed" }, answer("e", "wrong")]);
  t.strictSame(last(over.effects), { do: "quarantine", box: "e" }, "and after the end the box is still out");
});

void t.test("too few holders", async (t) => {
  t.strictSame(last(play([...toChallenge, answer("a", "silent"), answer("b", "silent"), answer("c", "silent")]).effects), { do: "finish", error: "NOT_ENOUGH_HOLDERS" });
  t.strictSame(last(play([...toChallenge, ...["a", "b", "c"].map((box) => answer(box, "refused", "STALE_EPOCH"))]).effects), { do: "finish", error: "STALE_EPOCH" }, "by the one name that they agree on");
  t.strictSame(last(play([...toChallenge, answer("a", "refused", "STALE_EPOCH"), answer("b", "silent"), answer("c", "silent")]).effects), { do: "finish", error: "NOT_ENOUGH_HOLDERS" });
});

void t.test("a shard that does not come is replaced by another holder's", async (t) => {
  const released = [...toChallenge, ...boxes.map(good)];
  const { effects } = play([...released, { type: "no-shard", box: "b", code: "NO_ANSWER" }, shard("a"), shard("c"), shard("d")]);
  t.strictSame(effects.slice(-2), [{ do: "release", boxes: ["d"] }, { do: "compute", boxes: ["a", "c", "d"] }]);
  const none = play([...released, ...["a", "b", "c"].map((box): OperationEvent => ({ type: "no-shard", box, code: "X" }))]);
  t.strictSame(last(none.effects), { do: "finish", error: "X" });
});

void t.test("a key check that fails asks for one more shard, and with exactly t accuses nobody", async (t) => {
  const computing = [...toChallenge, ...boxes.map(good), shard("a"), shard("b"), shard("c")];
  const more = play([...computing, { type: "key-check-failed" }, shard("d")]);
  t.strictSame(last(more.effects), { do: "compute", boxes: ["a", "b", "c", "d"] });
  const exactly = play([...toChallenge, good("a"), good("b"), good("c"), answer("d", "silent"), answer("e", "silent"), shard("a"), shard("b"), shard("c"), { type: "key-check-failed" }]);
  t.strictSame(last(exactly.effects), { do: "finish", error: "KEY_CHECK_FAILED" });
});

void t.test("fingers", async (t) => {
  const refused = (reason: "unknown-finger" | "not-permitted"): OperationEvent => ({ type: "refused-finger", reason });
  t.strictSame(last(play([{ type: "payload" }, ...Array.from({ length: 3 }, () => refused("unknown-finger"))]).effects), { do: "finish", error: "INVALID_BIOMETRICS" });
  t.strictSame(last(play([{ type: "payload" }, ...Array.from({ length: 3 }, () => refused("not-permitted"))]).effects), { do: "finish", error: "NOT_PERMITTED" });
  t.strictSame(last(play([{ type: "payload" }, refused("unknown-finger"), refused("unknown-finger"), { type: "evidence", satisfied: true }]).effects), { do: "challenge" }, "two slips are forgiven");
});

void t.test("whatever happens: challenged only after the rule was met, computed only with t released shards, finished once", async () => {
  const box = fc.constantFrom(...boxes);
  const event: fc.Arbitrary<OperationEvent> = fc.oneof(
    fc.constant<OperationEvent>({ type: "payload" }), fc.boolean().map((satisfied): OperationEvent => ({ type: "evidence", satisfied })),
    fc.record({ type: fc.constant("answer" as const), box, verdict: fc.constantFrom("good" as const, "wrong" as const, "refused" as const, "silent" as const) }),
    fc.constant<OperationEvent>({ type: "grace-over" }), box.map((one): OperationEvent => ({ type: "shard", box: one })),
    box.map((one): OperationEvent => ({ type: "no-shard", box: one, code: "X" })), fc.constantFrom<OperationEvent>({ type: "computed" }, { type: "key-check-failed" }, { type: "deadline" }),
  );
  fc.assert(fc.property(fc.array(event, { maxLength: 40 }), (events) => {
    const { effects } = play(events);
    const names = effects.map((effect) => effect.do);
    const released = new Set<string>();
    for (const effect of effects) {
      if (effect.do === "release") for (const one of effect.boxes) released.add(one);
      if (effect.do === "compute" && (effect.boxes.length < 3 || !effect.boxes.every((one) => released.has(one)))) return false;
    }
    const satisfied = events.some((one) => one.type === "evidence" && one.satisfied);
    return names.filter((name) => name === "finish").length <= 1 && (!names.includes("challenge") || satisfied) && (!names.includes("release") || names.includes("challenge"));
  }), { numRuns: 2000 });
});

void t.test("a re-shard: when the rule is met it is carried out, and ends as its attempt ends, whatever the time", (t) => {
  const reshard = openOperation("approve", 0, [], 3);
  const begun = play([{ type: "payload" }, { type: "evidence", satisfied: true }], reshard);
  t.strictSame(begun.effects, [{ do: "prompt" }, { do: "create" }]);
  t.strictSame(play([{ type: "deadline" }], begun.state).effects, [], "the shards are on their way");
  t.strictSame(play([{ type: "deadline" }, { type: "computed" }], begun.state).effects, [{ do: "finish", error: null }]);
  t.strictSame(play([{ type: "failed", code: "RESHARD_FAILED" }], begun.state).effects, [{ do: "finish", error: "RESHARD_FAILED" }]);
  t.strictSame(play([{ type: "cancelled" }], begun.state).effects, [{ do: "finish", error: "CANCELLED" }]);
  t.strictSame(play([{ type: "payload" }, { type: "deadline" }], reshard).effects, [{ do: "prompt" }, { do: "finish", error: "TIMED_OUT" }], "people are not waited for without end");
  t.strictSame(play([{ type: "payload" }, { type: "evidence", satisfied: true }, { type: "deadline" }], openOperation("create", 0, [], 3)).effects.at(-1), { do: "finish", error: "TIMED_OUT" });
  t.end();
});

import t from "tap";
import { attemptTable, isBound, isOver, stepAttempt, type AttemptEvent, type Stage } from "../../../agent/rules/reshard/attempt.ts";

const stages: readonly Stage[] = ["joined", "renounced", "prepared", "withdrawn", "activated", "answered", "answered-active", "settled", "burnt"];
const events: readonly AttemptEvent[] = ["prepare", "activate", "burn", "settle", "bury", "resolve", "back", "forward"];
const ends: readonly AttemptEvent[] = ["settle", "bury", "back", "forward"];

void t.test("the whole table, row by row: a change of it is a change here", (t) => {
  t.strictSame(attemptTable, {
    joined: {
      resolve: { to: "answered", move: "none", sign: "resolved" },
      prepare: { to: "prepared", move: "store-next", sign: "prepared" },
      burn: { to: "renounced", move: "none", sign: "burn" },
      settle: { to: "settled", move: "retire", sign: null },
      bury: { to: "burnt", move: "none", sign: null },
      back: { to: "burnt", move: "none", sign: null },
      forward: { to: "settled", move: "retire", sign: null },
    },
    renounced: {
      resolve: { to: "answered", move: "none", sign: "resolved" },
      burn: { to: "renounced", move: "none", sign: "burn" },
      settle: { to: "settled", move: "retire", sign: null },
      bury: { to: "burnt", move: "none", sign: null },
      back: { to: "burnt", move: "none", sign: null },
      forward: { to: "settled", move: "retire", sign: null },
    },
    prepared: {
      resolve: { to: "answered", move: "none", sign: "resolved" },
      prepare: { to: "prepared", move: "none", sign: "prepared" },
      activate: { to: "activated", move: "promote", sign: "activated" },
      burn: { to: "withdrawn", move: "none", sign: "burn" },
      settle: { to: "settled", move: "promote-and-retire", sign: null },
      bury: { to: "burnt", move: "drop-next", sign: null },
      back: { to: "burnt", move: "drop-next", sign: null },
      forward: { to: "settled", move: "promote-and-retire", sign: null },
    },
    withdrawn: {
      resolve: { to: "answered", move: "none", sign: "resolved" },
      burn: { to: "withdrawn", move: "none", sign: "burn" },
      settle: { to: "settled", move: "promote-and-retire", sign: null },
      bury: { to: "burnt", move: "drop-next", sign: null },
      back: { to: "burnt", move: "drop-next", sign: null },
      forward: { to: "settled", move: "promote-and-retire", sign: null },
    },
    activated: {
      resolve: { to: "answered-active", move: "none", sign: "resolved" },
      activate: { to: "activated", move: "none", sign: "activated" },
      settle: { to: "settled", move: "retire", sign: null },
      bury: { to: "burnt", move: "return-to-old", sign: null },
      back: { to: "burnt", move: "return-to-old", sign: null },
      forward: { to: "settled", move: "retire", sign: null },
    },
    answered: {
      resolve: { to: "answered", move: "none", sign: "resolved" },
      back: { to: "burnt", move: "drop-next", sign: null },
      forward: { to: "settled", move: "promote-and-retire", sign: null },
    },
    "answered-active": {
      resolve: { to: "answered-active", move: "none", sign: "resolved" },
      back: { to: "burnt", move: "return-to-old", sign: null },
      forward: { to: "settled", move: "retire", sign: null },
    },
    settled: {
      settle: { to: "settled", move: "none", sign: null },
      forward: { to: "settled", move: "none", sign: null },
      resolve: { to: "settled", move: "none", sign: "resolved" },
    },
    burnt: {
      bury: { to: "burnt", move: "none", sign: null },
      back: { to: "burnt", move: "none", sign: null },
      resolve: { to: "burnt", move: "none", sign: "resolved" },
    },
  });
  t.end();
});

void t.test("what is not in a row is nothing", (t) => {
  for (const stage of stages) for (const event of events) t.equal(stepAttempt(stage, event), attemptTable[stage][event] ?? null, `${stage} ${event}`);
  t.equal(stepAttempt("settled", "bury"), null, "a certificate is never taken back by the other");
  t.equal(stepAttempt("burnt", "settle"), null);
  t.end();
});

void t.test("however it is driven: never both BURN and ACTIVATED, shards dropped only by a certificate, a certificate ends it", (t) => {
  const walk = (stage: Stage, signed: ReadonlySet<string>, depth: number): void => {
    if (depth === 0) return;
    for (const event of events) {
      const step = stepAttempt(stage, event);
      if (step === null) continue;
      const next = new Set([...signed, ...(step.sign === null ? [] : [step.sign])]);
      t.notOk(next.has("burn") && next.has("activated"), `${stage} ${event}`);
      if (step.move !== "none" && step.move !== "store-next" && step.move !== "promote") t.ok(ends.includes(event), `${step.move} at ${event}`);
      t.equal(isOver(step.to), ends.includes(event) || isOver(stage), `${stage} ${event}`);
      if (isBound(stage)) t.ok(["resolve", "back", "forward"].includes(event), `${stage} ${event}: moved by all the answers only`);
      walk(step.to, next, depth - 1);
    }
  };
  walk("joined", new Set(), 5);
  t.strictSame(stages.filter(isOver), ["settled", "burnt"]);
  t.strictSame(stages.filter(isBound), ["answered", "answered-active"]);
  t.end();
});

import t from "tap";
import { attemptTable, isOver, stepAttempt, type AttemptEvent, type Stage } from "../../../agent/rules/reshard/attempt.ts";

const stages: readonly Stage[] = ["joined", "renounced", "prepared", "withdrawn", "activated", "settled", "burnt"];
const events: readonly AttemptEvent[] = ["prepare", "activate", "burn", "settle", "bury"];

void t.test("the whole table, row by row: a change of it is a change here", (t) => {
  t.strictSame(attemptTable, {
    joined: {
      prepare: { to: "prepared", move: "store-next", sign: "prepared" },
      burn: { to: "renounced", move: "none", sign: "burn" },
      settle: { to: "settled", move: "retire", sign: null },
      bury: { to: "burnt", move: "none", sign: null },
    },
    renounced: {
      burn: { to: "renounced", move: "none", sign: "burn" },
      settle: { to: "settled", move: "retire", sign: null },
      bury: { to: "burnt", move: "none", sign: null },
    },
    prepared: {
      prepare: { to: "prepared", move: "none", sign: "prepared" },
      activate: { to: "activated", move: "promote", sign: "activated" },
      burn: { to: "withdrawn", move: "none", sign: "burn" },
      settle: { to: "settled", move: "promote-and-retire", sign: null },
      bury: { to: "burnt", move: "drop-next", sign: null },
    },
    withdrawn: {
      burn: { to: "withdrawn", move: "none", sign: "burn" },
      settle: { to: "settled", move: "promote-and-retire", sign: null },
      bury: { to: "burnt", move: "drop-next", sign: null },
    },
    activated: {
      activate: { to: "activated", move: "none", sign: "activated" },
      settle: { to: "settled", move: "retire", sign: null },
      bury: { to: "burnt", move: "return-to-old", sign: null },
    },
    settled: { settle: { to: "settled", move: "none", sign: null } },
    burnt: { bury: { to: "burnt", move: "none", sign: null } },
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
      if (step.move !== "none" && step.move !== "store-next" && step.move !== "promote") t.ok(event === "settle" || event === "bury", `${step.move} at ${event}`);
      t.equal(isOver(step.to), event === "settle" || event === "bury", `${stage} ${event}`);
      walk(step.to, next, depth - 1);
    }
  };
  walk("joined", new Set(), 5);
  t.strictSame(stages.filter(isOver), ["settled", "burnt"]);
  t.end();
});

import t from "tap";
import type { BatchDestroyed } from "../../../agent/protocol/reshard.ts";
import { exposureOf, isEffective } from "../../../agent/rules/reshard/exposure.ts";

const destroyed = (box: string, hsm: "hardware" | "software"): readonly [string, BatchDestroyed] =>
  [box, { type: "batch-destroyed", site: "demo", by: box, body: { plan: "", of: "old", hsm }, sig: "" }];

void t.test("what is left of a past epoch: open, deleted, out of reach", (t) => {
  const boxes = ["box-1", "box-2", "box-3", "box-4", "box-5"];
  t.strictSame(exposureOf(4, 7, 3, boxes, new Map()), { epoch: 4, attempt: 7, threshold: 3, open: boxes, software: 0, hardware: 0 });
  const some = new Map([destroyed("box-2", "software"), destroyed("box-3", "hardware"), destroyed("box-5", "software"), destroyed("stranger", "hardware")]);
  t.strictSame(exposureOf(4, 7, 3, boxes, some), { epoch: 4, attempt: 7, threshold: 3, open: ["box-1", "box-4"], software: 2, hardware: 1 }, "one that held nothing does not count");
  t.end();
});

void t.test("a re-shard counts when fewer than a threshold are open", (t) => {
  const of = (open: readonly string[]) => ({ epoch: 1, attempt: 1, threshold: 3, open, software: 0, hardware: 0 });
  t.strictSame([[], ["a"], ["a", "b"], ["a", "b", "c"], ["a", "b", "c", "d"]].map((open) => isEffective(of(open))), [true, true, true, false, false]);
  t.end();
});

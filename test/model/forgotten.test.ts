import t from "tap";
import { Approvals } from "../../agent/box/approval.ts";
import { Attempts } from "../../agent/box/attempts.ts";
import { Generations } from "../../agent/box/generations.ts";
import type { BoxParts } from "../../agent/box/parts.ts";
import { RecordKeeper } from "../../agent/box/record-keeper.ts";
import { Requests } from "../../agent/box/requests.ts";
import { Reshards } from "../../agent/box/reshard.ts";
import { Shelf } from "../../agent/box/shelf.ts";
import type { ReshardPlan } from "../../agent/protocol/reshard.ts";
import { signStatement } from "../../agent/protocol/statement.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { Turns } from "../../agent/runtime/turns.ts";
import { putJson } from "../../agent/store/json.ts";
import { filled, keys, record } from "../rules/support/site.ts";
import { memoryHsm } from "../support/memory-hsm.ts";
import { memoryDisk, openMemoryStore } from "../support/memory-store.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const boxes = ["box-1", "box-2", "box-3"].map((box, i) => ({ box, x: i + 1 }));
const planOf = (attempt: number): Promise<ReshardPlan> => signStatement(keys["coordinator"]!, "reshard-plan", "demo", "coordinator", {
  keys: [{ key: "payroll", version: 1, epoch: attempt, attempt, previous: filled(32, attempt), check: filled(32, 1), imported: null }],
  kind: "aes-256" as const, threshold: 2, nextThreshold: 2, size: 3, margin: 1, dealers: boxes.slice(0, 2), witnesses: boxes, holders: boxes, reason: "period" as const, request: null,
});

/** The model's rule `burn-forgotten` at a real box: without it a coordinator that lies has the key destroyed (docs/resharding.md). */
void t.test("a box signs no BURN for an attempt that it settled and has forgotten since", async (t) => {
  const store = openMemoryStore(memoryDisk());
  await store.commit([putJson("site-record", record)]);
  const hsm = memoryHsm();
  await hsm.createKey("identity");
  const clock = new VirtualClock();
  const parts = { site: "demo", box: "box-1", store, hsm, clock, log: silentLog, records: new RecordKeeper(store, silentLog) } as unknown as BoxParts;
  const attempts = new Attempts(store, clock, 0);
  const shelf = new Shelf(store, "demo", "box-1");
  const reshards = new Reshards(parts, shelf, attempts, new Generations(parts, shelf), new Approvals(parts, new Requests(parts.clock)), new Turns(), () => false);
  const [settled, next] = [await planOf(2), await planOf(3)];
  await store.commit(attempts.put({ plan: settled, stage: "settled", batch: filled(32, 7), changed: false }));
  await t.rejects(reshards.burn(settled), { code: "ATTEMPT_OVER" }, "while it knows it");
  await store.commit([...attempts.prune(next), ...attempts.put({ plan: next, stage: "joined", batch: null, changed: false })]);
  await t.rejects(reshards.burn(settled), { code: "ATTEMPT_OVER" }, "when the next attempt has made it forget");
  t.match(await reshards.burn(next), { type: "batch-burn", by: "box-1" });
});

import t from "tap";
import { coordinatorConfig } from "../../agent/coordinator/config.ts";
import type { CoordinatorParts } from "../../agent/coordinator/parts.ts";
import type { Quarantines } from "../../agent/coordinator/quarantine.ts";
import { Watch } from "../../agent/coordinator/watch.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { record } from "../rules/support/site.ts";
import { memoryDisk, openMemoryStore } from "../support/memory-store.ts";

void t.test("a box that was never looked at has its state since now, on a clock that does not stand still", (t) => {
  let at = 0;
  const clock = { now: () => (at += 0.25), wall: () => "", after: () => () => undefined };
  const config = coordinatorConfig.parse({ site: "demo", state: "/nowhere", hsm: { module: "/m", token: "t", pinFile: "/p" }, broker: { url: "mqtts://x:1" } });
  const parts = { clock, config, log: silentLog, store: openMemoryStore(memoryDisk()), site: { current: record } } as unknown as CoordinatorParts;
  const watch = new Watch(parts, { has: () => false } as unknown as Quarantines, () => Promise.resolve(false));
  // Rounded, anything below nothing is -0, which no message can carry: status would get no answer.
  t.ok(watch.sinceMs("box-just-joined") >= 0);
  t.end();
});

import t from "tap";
import { Fleet } from "../../agent/coordinator/fleet.ts";
import type { CoordinatorParts } from "../../agent/coordinator/parts.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { memoryDisk, openMemoryStore } from "../support/memory-store.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { body, filled, record } from "../rules/support/site.ts";
import { refOf } from "../../agent/protocol/site-record.ts";

const beat = (counter: number, change: object = {}) => ({
  counter, nonce: filled(16, counter), siteRecord: refOf(record), hsm: { ok: true, backing: "software" }, sensor: { state: "ready", emulated: true },
  inventory: filled(32, 1), verified: null, uptimeS: 1, version: "1", ...change,
});
const holding = { key: "payroll", epoch: 1, attempt: 1, record: filled(32, 2), state: "current" as const };

function scene() {
  const clock = new VirtualClock();
  const disk = memoryDisk();
  const asked: [string, string][] = [];
  const parts = {
    clock, log: silentLog, store: openMemoryStore(disk), config: { suspectMs: 6000 },
    site: { current: record, ref: refOf(record), after: () => [record] },
    exchange: { request: (_table: unknown, name: string, box: string) => { asked.push([name, box]); return Promise.resolve({}); } },
  } as unknown as CoordinatorParts;
  return { clock, disk, asked, parts, fleet: new Fleet(parts) };
}

void t.test("a heartbeat counts once and in order within a boot; a malformed one not at all", async (t) => {
  const { fleet, clock, asked } = scene();
  const heard: unknown[] = [];
  fleet.onHeard((...args) => { heard.push(args); });
  fleet.heard("box-1", "boot-a", beat(5, { holdings: [holding] }));
  t.strictSame([fleet.nonceOf("box-1"), fleet.isLive("box-1"), fleet.live()], [filled(16, 5), true, ["box-1"]]);
  await clock.advance(7000);
  for (const data of [beat(5), beat(4), beat(9, { nonce: "short" }), { counter: 9 }, null]) fleet.heard("box-1", "boot-a", data);
  t.strictSame([fleet.nonceOf("box-1"), fleet.liveness("box-1"), heard.length], [filled(16, 5), "suspect", 1]);
  fleet.heard("box-1", "boot-a", beat(6));
  t.strictSame([fleet.nonceOf("box-1"), fleet.liveness("box-1"), fleet.holdingsOf("box-1")], [filled(16, 6), "ready", [holding]]);
  fleet.heard("box-1", "boot-b", beat(1));
  t.strictSame([fleet.nonceOf("box-1"), fleet.holdingsOf("box-1")], [filled(16, 1), []], "another boot counts anew and says anew what it holds");
  t.strictSame(asked, [], "and who is up to date is told nothing");
  fleet.heard("box-2", "boot-a", beat(1, { siteRecord: { version: body.version - 1, hash: filled(32, 0) } }));
  fleet.heard("box-3", "boot-a", beat(1, { siteRecord: null }));
  t.strictSame(asked, [["record", "box-2"], ["record", "box-3"]]);
});

void t.test("a quarantine is durable and told to all; a second within the window is held", async (t) => {
  const { fleet, clock, asked, parts } = scene();
  for (const box of ["box-1", "box-2", "box-3"]) fleet.heard(box, "boot", beat(1));
  t.equal(await fleet.quarantine("box-3", "HSM_COMPROMISED"), true);
  t.strictSame(asked, [["quarantine", "box-1"], ["quarantine", "box-2"]]);
  t.equal(await fleet.quarantine("box-3", "HSM_COMPROMISED"), true, "the same again is no second");
  await clock.advance(10 * 60_000 - 1);
  t.strictSame([await fleet.quarantine("box-2", "HSM_COMPROMISED"), fleet.isQuarantined("box-2")], [false, false]);
  await clock.advance(1);
  t.equal(await fleet.quarantine("box-2", "HSM_COMPROMISED"), true);
  const again = new Fleet(parts);
  again.heard("box-3", "boot", beat(1));
  t.strictSame([again.liveness("box-3"), again.isLive("box-3"), again.isQuarantined("box-1")], ["quarantined", false, false]);
});

void t.test("who was away, or did not take it, is told of a quarantine with its next beat; who has taken it not again", async (t) => {
  const { fleet, asked, parts } = scene();
  for (const box of ["box-1", "box-3"]) fleet.heard(box, "boot", beat(1));
  await fleet.quarantine("box-3", "HSM_COMPROMISED");
  const { exchange } = parts;
  const taken = exchange.request.bind(exchange);
  Object.assign(exchange, { request: () => Promise.reject(new Error("lost")) });
  fleet.heard("box-2", "boot", beat(1));
  await new Promise((resolve) => { setImmediate(resolve); });
  Object.assign(exchange, { request: taken });
  asked.length = 0;
  for (const box of ["box-1", "box-2", "box-3"]) fleet.heard(box, "boot", beat(2));
  for (const box of ["box-1", "box-2"]) fleet.heard(box, "boot", beat(3));
  t.strictSame(asked, [["quarantine", "box-2"]]);
  asked.length = 0;
  const again = new Fleet(parts);
  again.heard("box-1", "boot", beat(4));
  t.strictSame(asked, [["quarantine", "box-1"]], "a restarted coordinator does not know who was told");
});

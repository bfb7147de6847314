import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { readBoxConfig } from "../../agent/box/config.ts";
import { readCoordinatorConfig } from "../../agent/coordinator/config.ts";
import { HsmProcess } from "../../agent/hsm/client.ts";
import { keyRecord } from "../../agent/protocol/key-record.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { entriesJson } from "../../agent/store/json.ts";
import { openStore } from "../../agent/store/level.ts";
import type { ProcessSite } from "../../provisioning/demo/process-site.ts";
import { DemoError, type SiteProcess } from "../../provisioning/demo/process.ts";
import { percentile, reshardRow, type ReshardRow } from "./figures.ts";
import { countMessages } from "./messages.ts";
import { keyNames, plantKeys } from "./plant.ts";
import { measureReshardFloor } from "./reshard-floor.ts";
import { boxesOf, buildSite, say, type Size } from "./site.ts";

export const reshardSizes = [{ t: 3, n: 5 }, { t: 5, n: 9 }] as const;
export const reshardKeys = [1, 100, 1000] as const;
/** p50 of so many; many keys average over themselves. */
const runsOf = (keys: number): number => (keys > 100 ? 1 : 3);
const mostMs = 300_000;
/** Times of a site where seconds count; what detection takes is these and little else. */
export const reshardTimes = { heartbeatMs: 500, suspectMs: 1500, probeMs: 500, lostMs: 3000, steadyMs: 1000 } as const;

/** A run: ms from SIGKILL to "lost", and from there to the certificate D of the last batch. */
interface Run {
  readonly detection: number;
  readonly work: number;
  /** Keys of each batch, in the order of their certificates. */
  readonly batches: readonly number[];
  /** Attempts that were burnt on the way. */
  readonly failed: number;
}

/** Every number of keys on one site, which is put back to what it was after each run. */
export async function measureReshards(size: Size, counts: readonly number[] = reshardKeys): Promise<ReshardRow[]> {
  say(`re-shard ${size.t} of ${size.n}: building the site …`);
  const site = await buildSite(size, { coordinator: { ...reshardTimes, reshardWindowMs: 0 }, box: { reshardWindowMs: 0 } });
  try {
    await site.stopAll();
    site.snapshot();
    const rows: ReshardRow[] = [];
    for (const keys of counts) rows.push(await measureRow(site, size, keys));
    return rows;
  } finally {
    await site.end(false);
  }
}

async function measureRow(site: ProcessSite, size: Size, keys: number): Promise<ReshardRow> {
  const measured: Run[] = [];
  while (measured.length < runsOf(keys)) {
    site.restore();
    const one = await loseBox(site, size, keys);
    say(`re-shard ${size.t} of ${size.n}, ${keys} keys: ${Math.round(one.detection)} + ${Math.round(one.work)} ms, batches ${one.batches.join(" ")}, ${one.failed} burnt`);
    measured.push(one);
  }
  const batches = measured[0]?.batches ?? [];
  const floors = new Map<number, number>();
  for (const batch of new Set(batches)) floors.set(batch, await measureReshardFloor(size, batch));
  return reshardRow(size, keys, {
    detection: percentile(measured.map(({ detection }) => detection), 0.5), work: percentile(measured.map(({ work }) => work), 0.5),
    batches, failed: measured.reduce((sum, { failed }) => sum + failed, 0), runs: measured.length,
  }, batches.reduce((sum, batch) => sum + (floors.get(batch) ?? NaN), 0), await countMessages(size, Math.max(...batches)));
}

/** Plants the keys, has the site run, kills the last box, and waits until every key has its new epoch. */
async function loseBox(site: ProcessSite, { t, n }: Size, keys: number): Promise<Run> {
  const boxes = boxesOf(n);
  const lost = boxes.at(-1) ?? "";
  await plant(site, t, boxes, keys);
  await site.startCoordinator();
  await Promise.all(boxes.map((box) => site.startBox(box)));
  // What a start brings with it is over: first beats with the list of all keys, first sessions.
  await sleep(2 * reshardTimes.suspectMs);
  const coordinator = site.processes.get("coordinator");
  if (coordinator === undefined) throw new DemoError("DEMO_PROCESS_FAILED", "the coordinator is not up");
  const run = await within(`${keys} keys re-sharded`, follow(coordinator, keys, lost, () => site.kill(lost)));
  await site.stopAll();
  await requireNewEpoch(site, keys);
  return run;
}

async function plant(site: ProcessSite, t: number, boxes: readonly string[], keys: number): Promise<void> {
  const configs = boxes.map((box) => readBoxConfig(["--config", site.configOf(box)]));
  const center = await openStore(join(stateOf(site), "store"));
  const open = await Promise.all(configs.map(async ({ box, hsm, state }) => ({ box, hsm: new HsmProcess(hsm, { log: silentLog }), store: await openStore(join(state, "store")) })));
  try {
    await Promise.all(open.map(({ hsm }) => hsm.start()));
    await plantKeys(configs[0]?.site ?? "", t, keyNames(keys), open, center);
  } finally {
    await Promise.all(open.flatMap(({ hsm, store }) => [hsm.stop(), store.close()]));
    await center.close();
  }
}

const stateOf = (site: ProcessSite): string => readCoordinatorConfig(["--config", site.configOf("coordinator")]).state;

/** By the coordinator's own log, as it is written: asking a site of many keys for its status would be part of what is measured. */
async function follow(coordinator: SiteProcess, keys: number, lost: string, kill: () => Promise<void>): Promise<Run> {
  const from = coordinator.lines.length;
  const begun = performance.now();
  const killed = kill();
  await coordinator.line(new RegExp(`: box lost box="${lost}"`), from);
  const lostAt = performance.now();
  const batches: number[] = [];
  const settled = /: re-shard decided keys=(\d+) .*phase="settled"/;
  for (let next = from; batches.reduce((sum, batch) => sum + batch, 0) < keys;) {
    const line = await coordinator.line(settled, next);
    next = coordinator.lines.indexOf(line, next) + 1;
    batches.push(Number(settled.exec(line)?.[1]));
  }
  const work = performance.now() - lostAt;
  await killed;
  return { detection: lostAt - begun, work, batches, failed: coordinator.lines.slice(from).filter((line) => line.includes(": re-shard attempt failed")).length };
}

async function within<T>(what: string, work: Promise<T>): Promise<T> {
  const end = new AbortController();
  const late = sleep(mostMs, undefined, { signal: end.signal }).then(() => { throw new DemoError("DEMO_STEP_TIMEOUT", `${what}: not within ${mostMs / 1000} s`); });
  try {
    return await Promise.race([work, late]);
  } finally {
    late.catch(() => undefined);
    end.abort();
  }
}

/** What the log said is in the store: no key was forgotten. Where the machine was too slow a box was lost and came back: a later epoch. */
async function requireNewEpoch(site: ProcessSite, keys: number): Promise<void> {
  const store = await openStore(join(stateOf(site), "store"));
  try {
    const renewed = entriesJson(store, "key/", z.looseObject({ record: keyRecord })).filter(([, { record }]) => record.epoch > 1).length;
    if (renewed !== keys) throw new DemoError("DEMO_EXPECTATION_FAILED", `${renewed} of ${keys} keys are in a new epoch`);
  } finally {
    await store.close();
  }
}

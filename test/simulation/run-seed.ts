import { createHash } from "node:crypto";
import { clientRequests } from "../../agent/protocol/messages.ts";
import type { Log } from "../../agent/runtime/log.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { unfinished } from "./calm.ts";
import { reseed } from "./crypto/toy.ts";
import { Invariants } from "./invariants.ts";
import { Intruder } from "./intruder.ts";
import { lyingHsm } from "./liar.ts";
import { watchMasks } from "./masks.ts";
import { Prng } from "./prng.ts";
import { Site } from "./site.ts";
import { weatherOf, type Weather } from "./weather.ts";
import { coordinatorId, World } from "./world.ts";

export interface Ran {
  readonly seed: number;
  /** The rule that was broken; null if all held. */
  readonly violation: string | null;
  /** SHA-256 of the trace: the same seed always gives the same. */
  readonly digest: string;
  readonly trace: readonly string[];
  readonly weather: Weather | null;
  /** Attempts that came into force, and that were burnt. */
  readonly settled: number;
  readonly burnt: number;
}

/** How long the calm lasts at most; it ends when nothing is left to be done. */
const calmMs = 240_000;
/** Who owns the coordinator can stop everything (protocol.md §9): then nothing is waited for. */
const calmUnderLiarMs = 2000;
const lookEveryMs = 500;
/** How long people take to answer a page. */
const peopleMs = 60_000;
/** Until everybody has heard everybody. */
const beforeMs = 1800;

function logOf(world: World): Log {
  const write = (event: string, fields: object = {}): void => { world.note(`log ${event} ${JSON.stringify(fields)}`); };
  return { ...silentLog, warn: write, error: write };
}

/** One seed from its first message to its calm end. */
export async function runSeed(seed: number): Promise<Ran> {
  reseed(seed);
  const weather = weatherOf(seed);
  const world = new World(seed, weather);
  const site = new Site(seed, world, logOf(world));
  const invariants = new Invariants(site);
  try {
    treat(seed, site);
    await site.begin();
    await invariants.holdings.begin();
    await advance(world, invariants, beforeMs);
    world.stormy = true;
    world.plan();
    orderSome(site);
    if (weather.liar === "coordinator") new Intruder(seed, invariants).begin();
    await advance(world, invariants, weather.stormMs);
    world.calm();
    if (weather.liar === "box") world.timeline.after(peopleMs, () => { answerPages(site); });
    await untilFinished(world, invariants);
  } catch (error) {
    world.violate(`the simulation fails: ${error instanceof Error ? error.stack ?? error.message : String(error)}`);
  }
  const phases = invariants.journal().all().map(({ phase }) => phase);
  return {
    seed, weather, violation: world.violation?.message ?? null, trace: world.trace,
    digest: createHash("sha256").update(world.trace.join("\n")).digest("hex"),
    settled: phases.filter((phase) => phase === "settled").length, burnt: phases.filter((phase) => phase === "burnt").length,
  };
}

/** Everybody's deals are watched; one box's HSM process may lie. */
function treat(seed: number, site: Site): void {
  const { world } = site;
  const random = new Prng(seed, 4);
  const masks = new Set<string>();
  site.liar = world.weather.liar === "box" ? random.pick(world.weather.boxes) : undefined;
  site.corrupt = (box, hsm) => watchMasks(box === site.liar ? lyingHsm(hsm, random, () => world.stormy) : hsm, masks, () => { world.violate(`${box} dealt under a mask that was used before`); });
}

async function advance(world: World, invariants: Invariants, ms: number): Promise<void> {
  const end = world.timeline.now + ms;
  while (world.violation === undefined && await world.timeline.step(end)) await invariants.settle();
}

async function untilFinished(world: World, invariants: Invariants): Promise<void> {
  const isStopped = world.weather.liar === "coordinator";
  const end = world.timeline.now + (isStopped ? calmUnderLiarMs : calmMs);
  const left = (): string | null => unfinished({
    site: invariants.site, holdings: invariants.holdings, journal: () => invariants.journal(), recordOf: (key) => invariants.recordOf(key), quarantined: () => invariants.quarantined(),
  });
  for (;;) {
    await advance(world, invariants, lookEveryMs);
    const what = left();
    if (what === null || world.violation !== undefined) return;
    if (world.timeline.now >= end) {
      if (!isStopped) world.violate(`${calmMs} ms of calm and ${what}`);
      return;
    }
  }
}

function orderSome(site: Site): void {
  const { random, weather, timeline } = site.world;
  for (let i = 0; i < weather.orders; i++) {
    const key = random.pick(weather.keys)!.key;
    timeline.after(random.int(weather.stormMs), () => { order(site, key); });
  }
}

function order({ world, client }: Site, key: string): void {
  world.note(`order ${key}`);
  client?.request(clientRequests, "key-reshard", coordinatorId, { key }, { deadlineMs: 60_000 }).then(() => { world.note(`ordered ${key}`); }, (error: unknown) => { world.note(`order refused ${String(error)}`); });
}

/** A liar may leave a key to people, and to nobody else: bad deals are ordered once more (docs/operations.md, `bad-deals`). */
function answerPages(site: Site): void {
  site.client?.request(clientRequests, "status", coordinatorId, {}).then(
    ({ keys }) => { for (const { key, held } of keys) if (held === "bad-deals") order(site, key); },
    (error: unknown) => { site.world.note(`status refused ${String(error)}`); },
  );
}

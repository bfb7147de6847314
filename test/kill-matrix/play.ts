import { nameOf, type Point } from "./point.ts";
import { MatrixError, type MatrixSite } from "./site.ts";

/** How one point ended. */
export interface Played {
  /** Its number in the list of all. */
  readonly point: number;
  readonly name: string;
  readonly ok: boolean;
  readonly ms: number;
  /** Whether the ordered re-shard itself came into force, or a further one was needed. */
  readonly forward: boolean;
  readonly error?: string;
}

/** What happens to a party that stands at its point; it runs again afterwards. */
export type Fate = (point: Point) => Promise<void>;

/** In three of five tries a box is asked to sign BURN before it is shown the certificate. */
const mostTries = 10;

/** The party is killed at the point, and restarted. */
export const killed = (site: MatrixSite): Fate => async (point) => {
  if (point.burnt) await killedBurning(site, point, mostTries);
  else {
    site.arm(point, "SIGKILL");
    void site.reshard().catch(() => undefined);
    await site.reached(point.party);
  }
  await site.revive(point.party);
};

async function killedBurning(site: MatrixSite, point: Point, tries: number): Promise<void> {
  await site.spoil();
  site.arm(point, "SIGKILL");
  // Armed itself, the coordinator may come to its point before it is heard.
  await site.revive("coordinator").catch((error: unknown) => { if (point.party !== "coordinator") throw error; });
  if (await site.reachedOrOver(point.party)) return;
  site.disarm();
  if (tries <= 1) throw new MatrixError(`${point.party} never came to its point`);
  await killedBurning(site, point, tries - 1);
}

/** Orders a re-shard in which `fate` strikes at the point, and judges what became of the site. The site is left as it was, some epochs later. */
async function play(site: MatrixSite, point: Point, fate: Fate): Promise<boolean> {
  const before = await site.epoch();
  await fate(point);
  await site.requireWhole();
  await site.quiet();
  const forward = await site.epoch() > before;
  if (!forward) {
    await site.reshard();
    await site.quiet();
    if (await site.epoch() <= before) throw new MatrixError("a further re-shard changed nothing");
  }
  await site.requireWhole();
  await site.requireClean();
  return forward;
}

export async function playPoint(site: MatrixSite, point: Point, number: number, fate: Fate): Promise<Played> {
  const begun = performance.now();
  const about = { point: number, name: nameOf(point) };
  const ms = (): number => Math.round(performance.now() - begun);
  try {
    const forward = await play(site, point, fate);
    return { ...about, ok: true, ms: ms(), forward };
  } catch (error) {
    site.disarm();
    return { ...about, ok: false, ms: ms(), forward: false, error: String(error) };
  }
}

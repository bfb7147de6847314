import { Prng } from "./prng.ts";

/** What one seed is about: the site, and how hard it is treated. Decided before anything runs. */
export interface Weather {
  readonly boxes: readonly string[];
  readonly keys: readonly { readonly key: string; readonly threshold: number; readonly holders: readonly string[] }[];
  readonly stormMs: number;
  readonly periodMs: number;
  readonly stepMs: number;
  readonly windowMs: number;
  /** Of a message: lost, arriving twice, late by up to `lateMs`. */
  readonly loss: number;
  readonly twice: number;
  readonly late: number;
  readonly lateMs: number;
  /** Of an effect (a call of the HSM, a commit, a message): its party dies just before or just after it. */
  readonly boxCrash: number;
  readonly coordinatorCrash: number;
  /** Of a call of the HSM: it takes a while. */
  readonly slow: number;
  readonly outages: number;
  readonly orders: number;
  /** A box that never comes back from some moment on. */
  readonly gone: string | null;
  readonly liar: "coordinator" | "box" | null;
}

const zones = 3;
export const zoneOf = (box: string): string => `zone-${Number(box.slice(4)) % zones}`;

export function weatherOf(seed: number): Weather {
  const random = new Prng(seed, 1);
  const boxes = Array.from({ length: random.between(5, 7) }, (_, i) => `box-${i + 1}`);
  const calm = random.chance(0.15);
  const rate = (...rates: [number, ...number[]]): number => (calm ? 0 : random.pick(rates));
  const keys = Array.from({ length: random.between(1, 3) }, (_, i) => {
    const holders = shuffled(boxes, random).slice(0, random.between(4, Math.min(5, boxes.length)));
    return { key: `key-${i + 1}`, threshold: random.between(2, holders.length - 2), holders };
  });
  // Keys of one batch have the same holders: often enough two do.
  if (random.chance(0.5)) for (const [i, one] of keys.entries()) if (i > 0) keys[i] = { ...one, threshold: keys[0]!.threshold, holders: keys[0]!.holders };
  const liar = random.pick([null, null, null, "coordinator", "coordinator", "box"] as const);
  return {
    boxes, keys, liar,
    stormMs: random.between(6, 18) * 1000,
    periodMs: random.pick([4000, 8000, 3_600_000]),
    stepMs: random.pick([1500, 4000]),
    windowMs: random.pick([0, 0, 6000]),
    loss: rate(0, 0, 0.01, 0.05),
    twice: rate(0, 0.02, 0.1),
    late: rate(0, 0.05, 0.2),
    lateMs: random.pick([200, 2000, 6000]),
    boxCrash: rate(0, 0, 0.001, 0.004, 0.01),
    coordinatorCrash: rate(0, 0, 0.002, 0.01, 0.02),
    slow: rate(0, 0.02, 0.2),
    outages: rate(0, 1, 3),
    orders: random.between(1, 4),
    gone: liar === null && random.chance(0.15) ? random.pick(boxes) ?? null : null,
  };
}

function shuffled<T>(items: readonly T[], random: Prng): T[] {
  const rest = [...items];
  const out: T[] = [];
  while (rest.length > 0) out.push(...rest.splice(random.int(rest.length), 1));
  return out;
}

import type { Random } from "../runtime/random.ts";

const firstMs = 1000;
const mostMs = 60_000;

/**
 * Full jitter: a wait between 0 and a bound that doubles with every failure, 1 s to 60 s, uniform, so
 * that a fleet whose broker restarts does not come back in step. `failures` is 1 or more.
 */
export function backoffMs(failures: number, random: Random): number {
  const bound = Math.min(firstMs * 2 ** Math.min(failures - 1, 16), mostMs);
  const [high = 0, low = 0] = random.bytes(2);
  return Math.round(bound * ((high * 256 + low) / 65_535));
}

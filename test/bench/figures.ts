import { setTimeout as sleep } from "node:timers/promises";

/** The value below which a share `p` of the samples lies. */
export function percentile(samples: readonly number[], p: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? NaN;
}

/** Milliseconds of each of `runs` calls, one after the other with a pause between, after a few that do not count. */
export async function timed(runs: number, body: () => unknown, { warm = Math.min(20, runs), pauseMs = 0 } = {}): Promise<number[]> {
  const samples: number[] = [];
  for (let i = -warm; i < runs; i++) {
    const begun = performance.now();
    await body();
    if (i >= 0) samples.push(performance.now() - begun);
    if (pauseMs > 0) await sleep(pauseMs);
  }
  return samples;
}

export const round = (ms: number): number => Math.round(ms * 100) / 100;

/** A line of the bench; ms. */
export interface Row { readonly t: number; readonly n: number; readonly p50: number; readonly p99: number; readonly floor: number; readonly ratio: number; readonly runs: number }

/**
 * What was measured, beside what could not be less: three parallel round trips coordinator → n boxes →
 * coordinator (prompt, challenge, release), two of the client (use, payload), and one MAC, one verification
 * and one key agreement one after the other. `trips` and `crypto` are p50s of the same run.
 */
export function rowOf({ t, n }: { readonly t: number; readonly n: number }, samples: readonly number[], trips: { readonly boxes: number; readonly client: number }, crypto: number): Row {
  const floor = 3 * trips.boxes + 2 * trips.client + crypto;
  const p50 = percentile(samples, 0.5);
  return { t, n, p50: round(p50), p99: round(percentile(samples, 0.99)), floor: round(floor), ratio: round(p50 / floor), runs: samples.length };
}

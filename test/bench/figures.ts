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

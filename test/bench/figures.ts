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

/** A line of the re-shard bench; ms. */
export interface ReshardRow {
  readonly t: number;
  readonly n: number;
  readonly keys: number;
  /** From SIGKILL to "lost", and from there to the certificate of the last batch. */
  readonly detection: number;
  readonly work: number;
  readonly msPerKey: number;
  /** The share algebra and the sealing alone, one core. */
  readonly floorMsPerKey: number;
  readonly ratio: number;
  /** Keys of each batch. */
  readonly batches: readonly number[];
  /** Of the largest batch; the largest message of it. */
  readonly messages: number;
  readonly bytes: number;
  readonly largestBytes: number;
  /** Attempts that were burnt, over all runs. */
  readonly failed: number;
  readonly runs: number;
}

/** `floor`: ms of all batches together. */
export function reshardRow(
  { t, n }: Pick<ReshardRow, "t" | "n">, keys: number, { detection, work, batches, failed, runs }: Pick<ReshardRow, "detection" | "work" | "batches" | "failed" | "runs">,
  floor: number, { messages, bytes, largestBytes }: Pick<ReshardRow, "messages" | "bytes" | "largestBytes">,
): ReshardRow {
  return {
    t, n, keys, detection: round(detection), work: round(work), msPerKey: round(work / keys), floorMsPerKey: round(floor / keys), ratio: round(work / floor),
    batches, messages, bytes, largestBytes, failed, runs,
  };
}

/** Right-aligned under their heads. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const lines = [head, ...rows].map((row) => row.map(String));
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines.map((line) => `  ${line.map((cell, column) => cell.padStart(widths[column] ?? 0)).join("  ")}`).join("\n");
}

import type { BatchDestroyed } from "../../protocol/reshard.ts";

/**
 * What is left of a past epoch (protocol.md §6, custody.md §3.5 step 8): a thief needs `threshold` of its shards.
 * `open` boxes have not proven that theirs are gone; `software` ones have deleted files, of which an image may
 * exist; only `hardware` ones are beyond anybody's reach.
 */
export interface Exposure {
  readonly epoch: number;
  readonly attempt: number;
  readonly threshold: number;
  readonly open: readonly string[];
  readonly software: number;
  readonly hardware: number;
}

export function exposureOf(epoch: number, attempt: number, threshold: number, boxes: readonly string[], destroyed: ReadonlyMap<string, BatchDestroyed>): Exposure {
  const by = (hsm: BatchDestroyed["body"]["hsm"]): number => boxes.filter((box) => destroyed.get(box)?.body.hsm === hsm).length;
  return { epoch, attempt, threshold, open: boxes.filter((box) => !destroyed.has(box)), software: by("software"), hardware: by("hardware") };
}

/** A re-shard counts when fewer than a threshold of the old shards may still be there. */
export function isEffective({ open, threshold }: Exposure): boolean {
  return open.length < threshold;
}

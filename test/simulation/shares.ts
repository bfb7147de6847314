import { Shelf, type Shelved } from "../../agent/box/shelf.ts";
import { Shards } from "../../agent/hsm/shards.ts";
import { keyRecordHash } from "../../agent/protocol/key-record.ts";
import { combineShares, type Point } from "../../agent/sharding/shamir.ts";
import { sealKeysOf } from "../support/memory-hsm.ts";
import type { Machine } from "./party.ts";

/** Of one box, all that an image of its disk would show at some moment. */
export interface Image {
  readonly shelved: Shelved;
  readonly record: string;
  readonly toOpen: ReturnType<Shelf["toOpen"]>;
}

export function imagesOf(machine: Machine, site: string): Image[] {
  const shelf = new Shelf(machine.view(), site, machine.name);
  return shelf.all().map((shelved) => ({ shelved, record: keyRecordHash(shelved.record), toOpen: shelf.toOpen(shelved) }));
}

/** The share, by what the HSM holds now; undefined if nothing there opens it any more, or it is not the recorded one. */
export async function shareIn({ toOpen }: Image, machine: Machine): Promise<Uint8Array | undefined> {
  try {
    return await new Shards(sealKeysOf(machine.token)).withAll(toOpen.vault, [toOpen], ([one]) => Promise.resolve(one === undefined ? undefined : Uint8Array.from(one.share)));
  } catch {
    return undefined;
  }
}

/**
 * Whether every choice of t of the points combines to `secret`: each other one with the same t-1 suffices, for
 * then all lie on one polynomial (agent/sharding/degree.ts).
 */
export async function allCombineTo(points: readonly Point[], t: number, secret: Uint8Array): Promise<boolean> {
  for (const point of points.slice(t - 1)) {
    const found = await combineShares([...points.slice(0, t - 1), point], t);
    if (!Buffer.from(found).equals(secret)) return false;
  }
  return true;
}

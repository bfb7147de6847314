import type { SiteRecordBody } from "../protocol/site-record.ts";

/** A second box failing within this time is more likely our own HSM or network (protocol.md §3). */
export const convictionWindowMs = 10 * 60_000;

export interface Conviction {
  /** Monotonic, ms. */
  readonly at: number;
  /** Said by the box itself, not our verdict. */
  readonly tampered: boolean;
}

/**
 * Whether a proven failure puts a box in quarantine, or is held and alarmed: one sick coordinator must not convict the
 * site (protocol.md §3). What boxes say of themselves is held only when it would make a majority at once (§8).
 */
export function mayConvict(before: readonly Conviction[], next: Conviction, boxes: number): boolean {
  const alike = before.filter(({ at, tampered }) => next.at - at < convictionWindowMs && tampered === next.tampered).length;
  return next.tampered ? alike + 1 <= boxes / 2 : alike === 0;
}

export interface Quarantine {
  readonly box: string;
  readonly reason: string;
  /** The version of the site record in which the box was convicted. */
  readonly since: number;
}

/** Whether a quarantine stands where this record is in force: only a version after the conviction lifts it (protocol.md §8). */
export function stands({ box, since }: Quarantine, record: SiteRecordBody): boolean {
  return (record.boxes.find(({ id }) => id === box)?.readmitted ?? 0) <= since;
}

import type { SiteRecordBody } from "../protocol/site-record.ts";

interface InZone { readonly zone: string }

/** A zone that holds `threshold` or more of these: whoever empties it has the key (design §12). Undefined: none does. */
export function fullZone(holders: readonly InZone[], threshold: number): string | undefined {
  return holders.find(({ zone }) => holders.filter((other) => other.zone === zone).length >= threshold)?.zone;
}

/** The same where the site record forbids it (`noZoneHoldsThreshold`); a box that it does not name is in no zone. */
export function forbiddenZone({ noZoneHoldsThreshold, boxes }: SiteRecordBody, holders: readonly string[], threshold: number): string | undefined {
  return noZoneHoldsThreshold === true ? fullZone(boxes.filter(({ id }) => holders.includes(id)), threshold) : undefined;
}

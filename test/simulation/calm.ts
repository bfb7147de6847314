import { imagesOf } from "./shares.ts";
import type { Invariants } from "./invariants.ts";
import { siteName } from "./site.ts";
import { isDecided } from "../../agent/rules/reshard/drive.ts";

/** What is still to be done before the site is as it was; null once nothing is. */
export function unfinished({ site, journal, recordOf, quarantined, holdings }: Pick<Invariants, "site" | "holdings" | "journal" | "recordOf" | "quarantined">): string | null {
  const { world } = site;
  const { weather } = world;
  const convicted = quarantined().find((box) => box !== site.liar);
  if (convicted !== undefined) return `${convicted} is in quarantine and never lied`;
  // A liar that was named stays out until people readmit it.
  const there = weather.boxes.filter((box) => !world.isGone(box) && !quarantined().includes(box));
  // What a liar has left with t witnesses waits for a use of the key (protocol.md §7), and nobody uses one here.
  const unproven = new Set(weather.liar === "box" ? journal().all().filter(({ phase }) => phase === "unproven").flatMap(({ plan }) => plan.body.keys.map(({ key }) => key)) : []);
  for (const { phase, plan } of journal().all()) {
    if (!isDecided(phase) && !plan.body.keys.every(({ key }) => unproven.has(key))) return `an attempt is still ${phase}`;
  }
  for (const { key } of weather.keys.filter((one) => !unproven.has(one.key))) {
    const record = recordOf(key);
    if (record === undefined) return `there is no ${key}`;
    const absent = record.holders.map(({ box }) => box).filter((box) => !holdings.hold(record).includes(box));
    if (absent.length > 0) return `${key} epoch ${record.epoch} is not current at ${absent.join(" ")}`;
    if (record.holders.length < Math.min(record.size, there.length)) return `${key} has ${record.holders.length} holders of ${record.size}`;
  }
  for (const box of there) {
    const images = imagesOf(world.machine(box), siteName);
    const left = images.find(({ shelved }) => !unproven.has(shelved.record.key) && (shelved.state !== "current" || recordOf(shelved.record.key)?.epoch !== shelved.record.epoch));
    if (left !== undefined) return `${box} still holds ${left.shelved.record.key} epoch ${left.shelved.record.epoch} as ${left.shelved.state}`;
    if (world.machine(box).token.seals.size !== 1) return `${box} has ${world.machine(box).token.seals.size} seal keys`;
  }
  return null;
}

import type { Liveness } from "../../protocol/heartbeat.ts";
import type { KeyRecord } from "../../protocol/key-record.ts";
import type { Member, ReshardReason } from "../../protocol/reshard.ts";
import { fullZone } from "../zones.ts";
import { leastHolders } from "./plan.ts";

/** A box as the coordinator sees it when it thinks of a re-shard. */
export interface BoxView {
  readonly box: string;
  readonly zone: string;
  /** Can take part now. */
  readonly live: boolean;
  /** Has been there long enough to become a holder. */
  readonly steady: boolean;
  /** Lost, in quarantine or no box of the site any more: a holder that is out is cut out. */
  readonly out: "lost" | "quarantined" | null;
}

/** Whether a box in this state is cut out of the keys that it holds. */
export function outBy(state: Liveness): BoxView["out"] {
  return state === "lost" || state === "quarantined" ? state : null;
}

export interface Wish {
  /** The period is over, or somebody ordered it. */
  readonly due: "period" | "order" | null;
  /** Whether a holder may be changed now (protocol.md §7: one a window). */
  readonly mayChange: boolean;
  /** Boxes to do without this time: they missed the last deadline. */
  readonly avoid: ReadonlySet<string>;
  /** A box that is left out since the last deal was bad and named nobody. */
  readonly suspect: string | null;
  /** Several attempts without one suspect after the other have failed: people must look (protocol.md §7). */
  readonly gaveUp: boolean;
  /** No zone may hold a threshold of the shards (site record, `noZoneHoldsThreshold`). */
  readonly zonesLimited: boolean;
  /** In how many failed deals a box was a dealer: the least suspected deal. */
  readonly suspicion: ReadonlyMap<string, number>;
}

export type Proposal =
  | { readonly kind: "nothing" }
  /** Something should be done and cannot be without people, or yet. */
  | { readonly kind: "hold"; readonly why: Hold }
  | { readonly kind: "plan"; readonly reason: ReshardReason; readonly dealers: readonly Member[]; readonly witnesses: readonly Member[]; readonly holders: readonly Member[] };

export type Hold =
  | "floor" // fewer holders than threshold and margin allow
  | "too-few-witnesses" // fewer than t + 1 old holders can take part, and not all others are out
  | "absent" // a holder is away and neither lost nor late: in maintenance, or not heard yet
  | "several-out" // more than one holder is out: by itself a coordinator changes one
  | "zones" // only a box of another zone could come, or one zone holds a threshold as it is
  | "bad-deals" // the deals were bad with one box after the other left out, or with none that can be left out
  | "window"; // a holder was changed a short time ago

/** What to do about one key now: a pure function, asked again whenever something changes. */
export function proposeReshard(record: KeyRecord, boxes: readonly BoxView[], wish: Wish): Proposal {
  const { suspect } = wish;
  if (suspect === null) return propose(record, boxes, wish);
  const proposal = propose(record, boxes, { ...wish, avoid: new Set([...wish.avoid, suspect]) });
  // Where it is only the suspect that is missing, no time helps, and the same set is not tried again without people (protocol.md §7).
  return proposal.kind === "hold" && propose(record, boxes, wish).kind === "plan" ? { kind: "hold", why: "bad-deals" } : proposal;
}

function propose(record: KeyRecord, boxes: readonly BoxView[], wish: Wish): Proposal {
  const views = new Map(boxes.map((view) => [view.box, view]));
  const can = (box: string): boolean => views.get(box)?.live === true && views.get(box)?.out === null && !wish.avoid.has(box);
  const out = record.holders.filter(({ box }) => outOf(views, box) !== null);
  const absent = record.holders.filter((holder) => !can(holder.box));
  const spares = sparesFor(record.holders, boxes, wish.avoid);
  const spreads = (holders: readonly { readonly box: string }[]): boolean => !wish.zonesLimited || isSpread(holders, views, record.threshold);
  const spareFor = (leave?: string): string | undefined => spares.find(({ box }) => spreads([...record.holders.filter((holder) => holder.box !== leave), { box }]))?.box;
  const change = wantedChange(record, views, out, spareFor, wish);
  // A spare that is there and does not come is of a zone that has enough.
  if (change === null) return record.holders.length < record.size && spares.length > 0 ? { kind: "hold", why: "zones" } : { kind: "nothing" };
  if (wish.gaveUp) return { kind: "hold", why: "bad-deals" };
  const { reason, leave, come } = change;
  // A box that only missed a deadline is out of this attempt as well: all new holders must prepare.
  const leaving = leave ?? absent[0]?.box;
  // Nobody is cut out for an announced silence, nor before it was heard once.
  if (absent.some(({ box }) => box !== leave && outOf(views, box) === null && !wish.avoid.has(box))) return { kind: "hold", why: "absent" };
  const holders = record.holders.filter(({ box }) => box !== leaving).map(({ box, x }) => ({ box, x }));
  const changing = leaving !== undefined || come !== undefined;
  if (absent.some(({ box }) => box !== leaving)) return { kind: "hold", why: "several-out" };
  if (changing && !wish.mayChange) return { kind: "hold", why: "window" };
  if (come !== undefined) holders.push({ box: come, x: freeX(record.holders) });
  if (holders.length < Math.max(leastHolders, record.threshold + record.margin)) return { kind: "hold", why: come === undefined && wish.zonesLimited && spares.length > 0 ? "zones" : "floor" };
  if (!spreads(holders)) return { kind: "hold", why: "zones" };
  const witnesses = record.holders.filter(({ box }) => can(box)).map(({ box, x }) => ({ box, x }));
  // With t witnesses nothing is proven until the key is used: only where all the others are out.
  const enough = record.holders.length - out.length > record.threshold ? record.threshold + 1 : record.threshold;
  if (witnesses.length < enough) return { kind: "hold", why: "too-few-witnesses" };
  return { kind: "plan", reason, dealers: dealersOf(witnesses, record.threshold, wish.suspicion), witnesses, holders };
}

interface Change { readonly reason: ReshardReason; readonly leave?: string; readonly come?: string }

function wantedChange(record: KeyRecord, views: ReadonlyMap<string, BoxView>, out: readonly Member[], spareFor: (leave?: string) => string | undefined, { due, mayChange }: Wish): Change | null {
  const coming = (leave?: string): { come?: string } => {
    const come = spareFor(leave);
    return come === undefined ? {} : { come };
  };
  const [gone] = out;
  if (gone !== undefined) return { reason: outOf(views, gone.box) ?? "lost", leave: gone.box, ...coming(gone.box) };
  if (record.holders.length < record.size && spareFor() !== undefined) return { reason: "spare", ...coming() };
  if (due === null) return null;
  if (!mayChange) return { reason: due };
  // Where there are spares a periodic re-shard changes a holder: a thief must start again with every set.
  const turn = record.epoch % record.holders.length;
  const leave = [...record.holders.slice(turn), ...record.holders.slice(0, turn)].find(({ box }) => spareFor(box) !== undefined)?.box;
  return leave === undefined ? { reason: due } : { reason: due, leave, ...coming(leave) };
}

function outOf(views: ReadonlyMap<string, BoxView>, box: string): BoxView["out"] {
  const view = views.get(box);
  return view === undefined ? "quarantined" : view.out;
}

/** Whether no zone holds so many of these. */
export function isSpread(holders: readonly { readonly box: string }[], views: ReadonlyMap<string, BoxView>, threshold: number): boolean {
  return fullZone(holders.flatMap(({ box }) => views.get(box) ?? []), threshold) === undefined;
}

/** The steady boxes that hold none, first those whose zone holds the fewest shards of this key; by name where that is equal. */
export function sparesFor(holders: readonly { readonly box: string }[], boxes: readonly BoxView[], avoid: ReadonlySet<string>): BoxView[] {
  const zoneOf = new Map(boxes.map(({ box, zone }) => [box, zone]));
  const load = (zone: string): number => holders.filter(({ box }) => zoneOf.get(box) === zone).length;
  const spares = boxes.filter(({ box, steady, out }) => steady && out === null && !avoid.has(box) && !holders.some((holder) => holder.box === box));
  return spares.sort((a, b) => load(a.zone) - load(b.zone) || (a.box < b.box ? -1 : 1));
}

/** An x that none of these holders has. */
export function freeX(holders: readonly { readonly x: number }[]): number {
  const taken = new Set(holders.map(({ x }) => x));
  let x = 1;
  while (taken.has(x)) x += 1;
  return x;
}

export function dealersOf(witnesses: readonly Member[], threshold: number, suspicion: ReadonlyMap<string, number>): Member[] {
  const of = ({ box }: Member): number => suspicion.get(box) ?? 0;
  return [...witnesses].sort((a, b) => of(a) - of(b)).slice(0, threshold);
}

import type { KeyRecord } from "../../protocol/key-record.ts";
import type { ReshardParameters } from "../../protocol/request.ts";
import type { Member } from "../../protocol/reshard.ts";
import { wantedNumbers, type Numbers } from "./approval.ts";
import { leastHolders } from "./plan.ts";
import { dealersOf, freeX, isSpread, sparesFor, type BoxView, type Hold, type Proposal, type Wish } from "./propose.ts";

export type ApprovedPlan = Extract<Proposal, { kind: "plan" }> & { readonly next: Numbers };
export type ApprovedProposal = ApprovedPlan | { readonly kind: "hold"; readonly why: Hold | "no-spare"; readonly boxes: readonly string[] };

const nobody: ReadonlySet<string> = new Set();

/**
 * The plan for what people are going to be asked: any numbers and any holders, never below the floor (protocol.md §7).
 * Where they name no holders, who is away leaves first, and nobody is exchanged.
 */
export function proposeApproved(record: KeyRecord, boxes: readonly BoxView[], wanted: ReshardParameters, { suspicion, zonesLimited }: Pick<Wish, "suspicion" | "zonesLimited">): ApprovedProposal {
  const next = wantedNumbers(wanted, record);
  const views = new Map(boxes.map((view) => [view.box, view]));
  const can = (box: string): boolean => views.get(box)?.live === true && views.get(box)?.out === null;
  const before = new Map(record.holders.map(({ box, x }) => [box, x]));
  const count = wanted.size ?? record.holders.length;
  const spreads = (some: readonly string[]): boolean => !zonesLimited || isSpread(some.map((box) => ({ box })), views, next.threshold);
  const chosen = wanted.holders ?? grown(shrunk([...before.keys()], count, boxes, can), count, boxes, spreads);
  const absent = chosen.filter((box) => !can(box) || (!before.has(box) && views.get(box)?.steady !== true));
  if (absent.length > 0) return { kind: "hold", why: "absent", boxes: absent };
  if (wanted.holders === undefined && chosen.length < count) return { kind: "hold", why: "no-spare", boxes: [] };
  if (chosen.length < Math.max(leastHolders, next.threshold + next.margin)) return { kind: "hold", why: "floor", boxes: [] };
  if (!spreads(chosen)) return { kind: "hold", why: "zones", boxes: [] };
  const holders: Member[] = [];
  for (const box of chosen) holders.push({ box, x: before.get(box) ?? freeX([...record.holders, ...holders]) });
  const witnesses = record.holders.filter(({ box }) => can(box)).map(({ box, x }) => ({ box, x }));
  if (witnesses.length < record.threshold + 1) return { kind: "hold", why: "too-few-witnesses", boxes: [] };
  return { kind: "plan", reason: "order", dealers: dealersOf(witnesses, record.threshold, suspicion), witnesses, holders, next };
}

/** So many of these boxes: who is away leaves first, then out of the zone that holds most; the last by name where that is equal. */
function shrunk(holders: readonly string[], count: number, boxes: readonly BoxView[], can: (box: string) => boolean): string[] {
  const zoneOf = new Map(boxes.map(({ box, zone }) => [box, zone]));
  let stay = [...holders];
  while (stay.length > count) {
    const load = (box: string): number => stay.filter((other) => zoneOf.get(other) === zoneOf.get(box)).length;
    const [leaves] = stay.toSorted((a, b) => Number(can(a)) - Number(can(b)) || load(b) - load(a) || (a < b ? 1 : -1));
    stay = stay.filter((box) => box !== leaves);
  }
  return stay;
}

/** With spares as long as there are some. */
function grown(holders: readonly string[], count: number, boxes: readonly BoxView[], spreads: (some: readonly string[]) => boolean): string[] {
  const all = [...holders];
  while (all.length < count) {
    const spare = sparesFor(all.map((box) => ({ box })), boxes, nobody).find(({ box }) => spreads([...all, box]));
    if (spare === undefined) break;
    all.push(spare.box);
  }
  return all;
}

import { expandMatrix } from "../../agent/sharding/check.ts";
import type { Published, Sharing } from "../../agent/sharding/reshare.ts";
import { combine, evaluateForms, image, lagrange, onlyFrom, type Form, type Value } from "./gf256.ts";

/** Attempts of one re-shard (protocol.md §7), every value as linear forms of all that was drawn at random. */
export interface Plan {
  readonly old: Sharing;
  readonly next: Sharing;
  /** Old x's: exactly t dealers, at least t witnesses. */
  readonly dealers: readonly number[];
  readonly witnesses: readonly number[];
  readonly keys: number;
  /** One T; a second one is the fault that SEALED prevents. */
  readonly transcripts: readonly Uint8Array[];
  /** Faults that the protocol forbids, for controls. */
  readonly reuseMasks?: boolean;
  readonly publishEachKey?: boolean;
}

/** One dealer's deal, in the order of next.xs and witnesses. `drawn` is all its coefficients and masks. */
export interface DealForms {
  readonly x: number;
  readonly drawn: readonly Form[];
  /** By key, then by holder. */
  readonly subshares: readonly (readonly Value[])[];
  readonly toWitnesses: readonly Value[];
  readonly toHolders: readonly Value[];
}

export interface AttemptForms {
  readonly plan: Plan;
  readonly width: number;
  /** The first column that other attempts have too: old coefficients (and masks, where reused), then the keys. */
  readonly common: number;
  /** By key, in the order of old.xs. */
  readonly shards: readonly (readonly Value[])[];
  readonly keys: readonly Value[];
  readonly deals: readonly DealForms[];
  /** By transcript (and by key, where published each): witness values, and e_ij by dealer and holder. */
  readonly published: readonly { readonly witnesses: readonly Value[]; readonly dealers: readonly (readonly Value[])[] }[];
}

/** What an adversary has of one attempt besides everything that is public. */
export interface Corrupted {
  /** Boxes by their old x: their shards, all they dealt, all they got as witnesses. */
  readonly old?: readonly number[];
  /** Boxes by their new x': all they got as new holders. */
  readonly next?: readonly number[];
  /** Seals (dealer, new holder) or (dealer, witness) whose ephemeral secret was published. */
  readonly opened?: readonly (readonly [dealer: number, holder: number])[];
  readonly openedToWitness?: readonly (readonly [dealer: number, witness: number])[];
}

const keyBytes = 32;
const maskBytes = 16;

/** The polynomial's values at the x's; Horner, the constant coefficient first. */
function valuesAt(coefficients: readonly Value[], xs: readonly number[]): Value[] {
  return xs.map((x) => coefficients.slice(0, -1).reduceRight((value, coefficient) => combine([[1, coefficient], [x, value]]), coefficients.at(-1)!));
}

export function modelAttempt(plan: Plan): AttemptForms {
  const { old, next, dealers, witnesses, transcripts } = plan;
  const masksShared = plan.reuseMasks === true;
  const pieces = maskBytes * (old.t - 1 + next.t - 1);
  const common = dealers.length * (plan.keys * keyBytes * (next.t - 1) + pieces + (masksShared ? 0 : maskBytes));
  const width = common + (masksShared ? old.xs.length * maskBytes : 0) + plan.keys * keyBytes * old.t;
  let column = 0;
  const fresh = (bytes: number): Value => Array.from({ length: bytes }, () => {
    const form = new Uint8Array(width);
    form[column++] = 1;
    return form;
  });
  const several = (count: number, bytes: number) => Array.from({ length: count }, () => fresh(bytes));
  // Columns are given out from the left: what belongs to this attempt, then what all attempts share, the keys last.
  const own = dealers.map(() => ({
    coefficients: Array.from({ length: plan.keys }, () => several(next.t - 1, keyBytes)),
    witnessSide: several(old.t - 1, maskBytes), holderSide: several(next.t - 1, maskBytes), mask: masksShared ? [] : fresh(maskBytes),
  }));
  const shared = masksShared ? old.xs.map(() => fresh(maskBytes)) : [];
  const coefficients = Array.from({ length: plan.keys }, () => several(old.t - 1, keyBytes));
  const keys = several(plan.keys, keyBytes);

  const shards = keys.map((key, index) => valuesAt([key, ...coefficients[index]!], old.xs));
  const deals = own.map((drawn, index): DealForms => {
    const x = dealers[index]!;
    const mask = masksShared ? shared[old.xs.indexOf(x)]! : drawn.mask;
    return {
      x,
      drawn: [...drawn.coefficients.flat(2), ...drawn.witnessSide.flat(), ...drawn.holderSide.flat(), ...mask],
      subshares: drawn.coefficients.map((higher, key) => valuesAt([shards[key]![old.xs.indexOf(x)]!, ...higher], next.xs)),
      toWitnesses: valuesAt([mask, ...drawn.witnessSide], witnesses),
      toHolders: valuesAt([mask, ...drawn.holderSide], next.xs),
    };
  });
  const lambda = lagrange(dealers);
  const published = transcripts.flatMap((transcript) => {
    const all = keys.map((_, key) => ({ key, matrix: expandMatrix(transcript, `key-${key}`) }));
    return (plan.publishEachKey === true ? all.map((one) => [one]) : [all]).map((terms) => ({
      witnesses: witnesses.map((x, k) => combine([
        ...terms.map(({ key, matrix }) => [1, image(matrix, shards[key]![old.xs.indexOf(x)]!)] as const),
        ...deals.map(({ toWitnesses }, i) => [lambda[i]!, toWitnesses[k]!] as const),
      ])),
      dealers: deals.map(({ subshares, toHolders }) => next.xs.map((_, j) => combine([
        ...terms.map(({ key, matrix }) => [1, image(matrix, subshares[key]![j]!)] as const), [1, toHolders[j]!],
      ]))),
    }));
  });
  return { plan, width, common, shards, keys, deals, published };
}

/** All that the adversary has of this attempt, as forms. */
function known({ plan, shards, deals, published }: AttemptForms, who: Corrupted): Form[] {
  const { old = [], next = [], opened = [], openedToWitness = [] } = who;
  const among = (pairs: readonly (readonly [number, number])[], dealer: number, to: number) => pairs.some(([from, recipient]) => from === dealer && recipient === to);
  const seal = (deal: DealForms, holder: number): Form[] => {
    const j = plan.next.xs.indexOf(holder);
    return [...deal.subshares.flatMap((ofKey) => ofKey[j]!), ...deal.toHolders[j]!];
  };
  return [
    ...shards.flatMap((ofKey) => old.flatMap((x) => ofKey[plan.old.xs.indexOf(x)]!)),
    ...deals.flatMap((deal) => [
      ...(old.includes(deal.x) ? deal.drawn : []),
      ...plan.witnesses.flatMap((x, k) => old.includes(x) || among(openedToWitness, deal.x, x) ? deal.toWitnesses[k]! : []),
      ...plan.next.xs.flatMap((x) => next.includes(x) || among(opened, deal.x, x) ? seal(deal, x) : []),
    ]),
    ...published.flatMap(({ witnesses, dealers }) => [...witnesses.flat(), ...dealers.flat(2)]),
  ];
}

/** How many independent linear combinations of the keys' bytes (32 a key) the adversary knows, of all attempts together. */
export function knownOfKeys(attempts: readonly (readonly [AttemptForms, Corrupted])[]): number {
  // A combination of all forms that is free of an attempt's own columns is so in that attempt by itself.
  const rest = attempts.flatMap(([attempt, who]) => onlyFrom(known(attempt, who), attempt.common));
  const [[{ width, common, keys }]] = attempts as readonly [readonly [AttemptForms, Corrupted]];
  return onlyFrom(rest, width - common - keys.length * keyBytes).length;
}

/** What is published, with these bytes for the unknowns. */
export function publishedBytes({ plan, published }: AttemptForms, unknowns: Uint8Array): Published {
  const [{ witnesses, dealers }] = published as readonly [AttemptForms["published"][number]];
  const points = (xs: readonly number[], values: readonly Value[]) => xs.map((x, index) => ({ x, y: evaluateForms(values[index]!, unknowns) }));
  return {
    t: plan.old.t,
    nextT: plan.next.t,
    witnesses: points(plan.witnesses, witnesses),
    dealers: plan.dealers.map((x, index) => ({ x, values: points(plan.next.xs, dealers[index]!) })),
  };
}

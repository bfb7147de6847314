import type { Random } from "../runtime/random.ts";
import { equalBytes, wipe } from "../runtime/secrets.ts";
import { applyMatrix } from "./check.ts";
import { degreeBelow, offPolynomial } from "./degree.ts";
import { requireLength, ShardingError } from "./errors.ts";
import { sum } from "./field.ts";
import { interpolateAtZero, requireThreshold, splitSecret, type Point } from "./shamir.ts";

/**
 * The algebra of a re-shard (protocol.md §7). Where a step is the library's alone it has no name of its own here:
 * a dealer's sub-shares are splitSecret(y, t', x'), and a new share is combineShares of the sub-shares that
 * the t dealers sent, labelled with the dealers' *old* x.
 */

/** The threshold of a sharing and the x's that a mask is dealt to. */
export interface Sharing {
  readonly t: number;
  readonly xs: readonly number[];
}

/** Pieces of a dealer's one mask, 16 bytes each, in the order of the x's; secret. */
export interface MaskPieces {
  readonly toWitnesses: readonly Uint8Array<ArrayBuffer>[];
  readonly toHolders: readonly Uint8Array<ArrayBuffer>[];
}

/** One key's part of a published value: its R and the 32 bytes (own shard, or sub-share) that R hides half of. */
export interface Term {
  readonly matrix: Uint8Array;
  readonly share: Uint8Array;
}

/**
 * A fresh mask v_i, dealt with threshold t to the witnesses and t' to the new holders. It belongs to one attempt
 * and hides exactly one published value of each party: a second use gives away 16 bytes.
 */
export async function dealMask(random: Random, witnesses: Sharing, holders: Sharing): Promise<MaskPieces> {
  const mask = random.bytes(16);
  try {
    return {
      toWitnesses: await splitSecret(mask, witnesses.t, witnesses.xs),
      toHolders: await splitSecret(mask, holders.t, holders.xs),
    };
  } finally {
    wipe(mask);
  }
}

/**
 * What new holder j publishes about dealer i: e_ij = Σ_key R_key · u_ij + v_i(x'_j), 16 bytes. One sum over
 * all keys of the batch, never one value per key under the shared mask (their differences would leak).
 */
export function holderValue(terms: readonly Term[], maskPiece: Uint8Array): Uint8Array<ArrayBuffer> {
  requireLength(maskPiece, 16, "a mask piece");
  const images: Uint8Array[] = [];
  try {
    for (const { matrix, share } of terms) images.push(applyMatrix(matrix, share));
    return sum(maskPiece, ...images);
  } finally {
    wipe(...images);
  }
}

/**
 * What witness k publishes: Σ_key R_key · y_k + Σ_i λ_i · v_i(x_k), 16 bytes. `maskPieces` are what the dealers
 * sent this witness, labelled with the dealers' x.
 */
export async function witnessValue(terms: readonly Term[], maskPieces: readonly Point[]): Promise<Uint8Array<ArrayBuffer>> {
  const mask = await interpolateAtZero(maskPieces);
  try {
    return holderValue(terms, mask);
  } finally {
    wipe(mask);
  }
}

/** Everything that was published for one transcript: 16-byte values, public. */
export interface Published {
  readonly t: number;
  readonly nextT: number;
  /** By the witnesses' old x: at least t. */
  readonly witnesses: readonly Point[];
  /** Exactly t dealers by their old x, each with e_ij by every new holder's x'. */
  readonly dealers: readonly { readonly x: number; readonly values: readonly Point[] }[];
}

export interface Accusation {
  readonly dealer: number;
  readonly holder: number | null;
}

export type Verdict =
  /** `proven` is false with only t witnesses: t points always fit, so nothing ties them to the record. */
  | { readonly kind: "accepted"; readonly proven: boolean }
  /** One of each pair (dealer's x, new holder's x') lied; `holder` is null where it is not determined. */
  | { readonly kind: "dealers-off-degree"; readonly pairs: readonly Accusation[] }
  /** The lying witnesses' x. null: not determined. */
  | { readonly kind: "witnesses-off-degree"; readonly liars: readonly number[] | null }
  /** All degrees are right, yet what was dealt is not what the witnesses hold. Nobody is named. */
  | { readonly kind: "sums-differ" };

function requireComplete({ t, nextT, witnesses, dealers }: Published): void {
  requireThreshold(t);
  requireThreshold(nextT);
  if (dealers.length !== t) throw new ShardingError("SHARE_COUNT", `${dealers.length} dealers for the threshold ${t}`);
  if (witnesses.length < t) throw new ShardingError("SHARE_COUNT", `${witnesses.length} witnesses, fewer than the threshold ${t}`);
  const holdersOf = (values: readonly Point[]) => values.map(({ x }) => x).sort((a, b) => a - b).join();
  const holders = holdersOf(dealers[0]?.values ?? []);
  for (const { x, values } of dealers) {
    if (values.length < nextT || holdersOf(values) !== holders) {
      throw new ShardingError("SHARE_COUNT", `the values about dealer ${x} are not one of each of at least ${nextT} new holders`);
    }
  }
  for (const { y } of [...witnesses, ...dealers.flatMap(({ values }) => values)]) requireLength(y, 16, "a published value");
}

/**
 * The verdict that everybody reaches from the same published values. A dealer that changed anything is accepted
 * with probability 2^-128, as R was drawn from a transcript that already held its deal.
 * Throws SHARE_COUNT, SHARE_LENGTH, SHARE_X_INVALID, SHARE_X_DUPLICATE or THRESHOLD_INVALID for incomplete values.
 */
export async function judge(published: Published): Promise<Verdict> {
  requireComplete(published);
  const { t, nextT, witnesses, dealers } = published;
  const pairs: Accusation[] = [];
  const dealt: Point[] = [];
  for (const { x, values } of dealers) {
    dealt.push({ x, y: await interpolateAtZero(values) });
    if (await degreeBelow(values, nextT)) continue;
    const liars = await offPolynomial(values, nextT);
    for (const liar of liars ?? [null]) pairs.push({ dealer: x, holder: liar?.x ?? null });
  }
  const atZero = await interpolateAtZero(witnesses);
  const sumDealt = await interpolateAtZero(dealt);
  if (pairs.length > 0) return { kind: "dealers-off-degree", pairs };
  if (!(await degreeBelow(witnesses, t))) {
    const liars = await offPolynomial(witnesses, t);
    return { kind: "witnesses-off-degree", liars: liars?.map(({ x }) => x) ?? null };
  }
  return equalBytes(sumDealt, atZero) ? { kind: "accepted", proven: witnesses.length > t } : { kind: "sums-differ" };
}

import { multiply } from "../../agent/sharding/field.ts";

/** Linear algebra over GF(2^8), on public test values: a form is one byte of something, as its coefficients of all unknowns. */
export type Form = Uint8Array;
/** A value of 16 or 32 bytes: one form a byte. */
export type Value = readonly Form[];

const products = Array.from({ length: 256 }, (_, a) => Uint8Array.from({ length: 256 }, (_, b) => multiply(a, b)));

/** Σ factor · form, of forms of equal length. */
export function combination(terms: readonly (readonly [factor: number, form: Form])[]): Form {
  const total = new Uint8Array(terms[0]![1].length);
  for (const [factor, form] of terms) {
    const times = products[factor]!;
    for (let column = 0; factor !== 0 && column < total.length; column++) total[column]! ^= times[form[column]!]!;
  }
  return total;
}

/** Byte by byte Σ factor · value. */
export function combine(terms: readonly (readonly [factor: number, value: Value])[]): Value {
  return terms[0]![1].map((_, byte) => combination(terms.map(([factor, value]) => [factor, value[byte]!] as const)));
}

/** `matrix` row by row, times a value of as many bytes as it has columns. */
export function image(matrix: Uint8Array, value: Value): Value {
  return Array.from({ length: matrix.length / value.length }, (_, row) =>
    combination(value.map((form, column) => [matrix[row * value.length + column]!, form] as const)));
}

/** What the bytes of `value` are when the unknowns are these bytes. */
export function evaluateForms(value: Value, unknowns: Uint8Array): Uint8Array {
  return Uint8Array.from(value, (form) => form.reduce((sum, factor, column) => factor === 0 ? sum : sum ^ products[factor]![unknowns[column]!]!, 0));
}

/** λ_i at 0 of the x's, in their order. */
export function lagrange(xs: readonly number[]): number[] {
  return xs.map((x) => xs.filter((other) => other !== x)
    .reduce((product, other) => products[product]![products[other]![products[x ^ other]!.indexOf(1)]!]!, 1));
}

/**
 * By Gaussian elimination a basis of all linear combinations of `forms` that are zero in every column before `from`;
 * it is returned without those columns. Its size is the dimension of what the forms tell about the rest alone.
 */
export function onlyFrom(forms: readonly Form[], from: number): Form[] {
  const pivots = new Map<number, { readonly form: Form; readonly support: readonly number[] }>();
  for (const form of forms) {
    const rest = form.slice();
    for (let column = 0; column < rest.length; column++) {
      if (rest[column] === 0) continue;
      const pivot = pivots.get(column);
      if (pivot === undefined) {
        const scale = products[products[rest[column]!]!.indexOf(1)]!;
        const support: number[] = [];
        for (let at = column; at < rest.length; at++) {
          if (rest[at] === 0) continue;
          rest[at] = scale[rest[at]!]!;
          support.push(at);
        }
        pivots.set(column, { form: rest, support });
        break;
      }
      const times = products[rest[column]!]!;
      for (const at of pivot.support) rest[at]! ^= times[pivot.form[at]!]!;
    }
  }
  // In echelon form a combination that is zero before `from` can contain no row that leads before it.
  return [...pivots].filter(([column]) => column >= from).map(([, { form }]) => form.subarray(from));
}

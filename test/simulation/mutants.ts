/** One replacement in a compiled file under dist/; the text stands there exactly once. */
export interface Change { readonly file: string; readonly from: string; readonly to: string }
export interface Mutant { readonly name: string; readonly what: string; readonly changes: readonly Change[]; readonly first?: number }

export const mutants: readonly Mutant[] = [];

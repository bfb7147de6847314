/** One replacement in a compiled file under dist/; the text stands there exactly once. */
export interface Change { readonly file: string; readonly from: string; readonly to: string }
/** One rule broken, as somebody might break it by mistake. */
export interface Mutant { readonly name: string; readonly what: string; readonly changes: readonly Change[]; readonly by?: Liar }
/** Who must lie for the rule to matter: seeds in which nobody does are passed over. */
export type Liar = "coordinator" | "box";

/** Mutants of one file, by its path under dist/agent without the ending. */
export function mutant(file: string) {
  return (name: string, what: string, ...changes: readonly (readonly [from: string, to: string])[]): Mutant =>
    ({ name, what, changes: changes.map(([from, to]) => ({ file: `agent/${file}.js`, from, to })) });
}

/** Rules that bind only against that liar. */
export function against(by: Liar, some: readonly Mutant[]): Mutant[] {
  return some.map((one) => ({ ...one, by }));
}

/** One replacement in a compiled file under dist/; the text stands there exactly once. */
export interface Change { readonly file: string; readonly from: string; readonly to: string }
/** One rule broken, as somebody might break it by mistake. */
export interface Mutant { readonly name: string; readonly what: string; readonly changes: readonly Change[] }

/** Mutants of one file, by its path under dist/agent without the ending. */
export function mutant(file: string) {
  return (name: string, what: string, ...changes: readonly (readonly [from: string, to: string])[]): Mutant =>
    ({ name, what, changes: changes.map(([from, to]) => ({ file: `agent/${file}.js`, from, to })) });
}

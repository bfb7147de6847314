/** Runs a program with its output on stderr; throws SetupError unless it ends with exit 0. */
export type Command = (file: string, args: readonly string[], options?: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv }) => void;

export interface Step {
  readonly name: string;
  /** Cheap and without effect; turns false as the last effect of `run`. */
  needed(): boolean;
  run(command: Command): void;
}

export const unavailable: 69;

export class SetupError extends Error {
  constructor(message: string, exitCode?: number);
  readonly exitCode: number;
}

export function runSteps(steps: readonly Step[], lockFile: string, say: (text: string) => void): string[];

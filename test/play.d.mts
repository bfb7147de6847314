import type { Total } from "./tally.mjs";

export interface PlayOptions {
  readonly cwd?: string;
  readonly priority?: number;
  readonly mostS: number;
  readonly graceS?: number;
  readonly print: (line: string) => void;
}

export function play(file: string, options: PlayOptions): Promise<Total>;

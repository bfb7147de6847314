export interface Total {
  readonly passed: number;
  readonly failed: number;
  /** "full name: reason", one for each. */
  readonly skipped: readonly string[];
}

export function tally(stream: AsyncIterable<string | Uint8Array>, file: string, print: (line: string) => void): Promise<Total>;

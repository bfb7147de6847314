/** Shows a waiting person what they would approve. The panel's character display comes in beside the console. */
export interface Display {
  readonly kind: "none" | "console" | "lcd";
  show(lines: readonly string[]): void;
  clear(): void;
}

export const noDisplay: Display = { kind: "none", show: () => undefined, clear: () => undefined };

/** The box's own console; `write` is the terminal line by line. */
export function consoleDisplay(write: (line: string) => void): Display {
  return {
    kind: "console",
    show: (lines) => { for (const line of lines) write(line); },
    clear: () => { write("—"); },
  };
}

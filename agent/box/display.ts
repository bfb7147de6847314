/** From the request that the box itself has judged. */
export interface ShownRequest {
  readonly by: string;
  readonly operation: string;
  readonly resource: string;
  /** All of what is asked, line by line. */
  readonly words: readonly string[];
  readonly reason: string;
  /** Four digits. */
  readonly code: string;
}

/** Shows a waiting person what they would approve. The panel's character display comes in beside the console (panel.ts). */
export interface Display {
  readonly kind: "none" | "console" | "lcd";
  show(request: ShownRequest): void;
  clear(): void;
}

export const noDisplay: Display = { kind: "none", show: () => undefined, clear: () => undefined };

/** The box's own console; `write` is the terminal line by line. */
export function consoleDisplay(write: (line: string) => void): Display {
  return {
    kind: "console",
    show: ({ words, reason, code }) => {
      for (const line of [...words, `reason: ${reason}`, `code ${code}: touch the sensor to approve`]) write(line);
    },
    clear: () => { write("—"); },
  };
}

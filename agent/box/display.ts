/** From the request that the box itself has judged. */
export interface ShownRequest {
  readonly by: string;
  readonly operation: string;
  readonly resource: string;
  readonly key: string;
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
    show: ({ by, operation, resource, key, reason, code }) => {
      for (const line of [`${by} asks to ${operation} ${resource} with key ${key}`, `reason: ${reason}`, `code ${code}: touch the sensor to approve`]) write(line);
    },
    clear: () => { write("—"); },
  };
}

import type { Line } from "../../../firmware-bridge/serial/line.ts";

/** What a scripted module does with the bytes it is sent; `say` sends bytes back. */
export type Script = (sent: Uint8Array, say: (bytes: Uint8Array) => void) => void;

/** A line whose other end is a function: for moments that no emulator can be brought to. */
export class ScriptedLine implements Line {
  readonly path = "scripted";
  readonly baudRate = 57600;
  readonly emulated = true;
  readonly closed: Promise<void>;
  readonly sent: string[] = [];
  script: Script;
  #listener: (bytes: Uint8Array) => void = () => undefined;
  #tellClosed: () => void = () => undefined;
  #gone = false;

  constructor(script: Script = () => undefined) {
    this.script = script;
    this.closed = new Promise((resolve) => { this.#tellClosed = resolve; });
  }

  readonly say = (bytes: Uint8Array): void => { this.#listener(bytes); };

  write(bytes: Uint8Array): Promise<void> {
    if (this.#gone) return Promise.reject(new Error("closed"));
    this.sent.push(hex(bytes));
    const copy = bytes.slice();
    queueMicrotask(() => { this.script(copy, this.say); });
    return Promise.resolve();
  }

  listen(listener: (bytes: Uint8Array) => void): void {
    this.#listener = listener;
  }

  close(): Promise<void> {
    this.#gone = true;
    this.#tellClosed();
    return Promise.resolve();
  }
}

/** `EF 01 …` or `ef01…` as bytes. */
export function unhex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ""), "hex"));
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

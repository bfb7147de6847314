import { EventEmitter } from "node:events";
import type { Line } from "../serial/line.ts";

/** Longest message that a panel has cause to send: the capabilities of a board with 70 pins, five modes each. */
const longestMessage = 1024;

/**
 * A serial line as firmata-io wants its transport. What firmata-io does with bytes is not let out: a panel that
 * sends nonsense makes it throw (a pin that is not there) or collect for ever, and then the line is closed.
 */
export class LineTransport extends EventEmitter {
  readonly #line: Line;
  #waiting: Uint8Array[] = [];

  constructor(line: Line) {
    super();
    this.#line = line;
  }

  /** @param collected how many bytes of an unfinished message firmata-io holds */
  begin(collected: () => number): void {
    this.#line.listen((bytes) => {
      try {
        this.emit("data", bytes);
        if (collected() <= longestMessage) return;
      } catch {
        // What it choked on tells nothing: bytes of no known message.
      }
      void this.#line.close();
    });
  }

  /** A display's text is hundreds of messages of seven bytes: what comes in one turn leaves together. */
  write(bytes: Uint8Array, done?: () => void): void {
    if (this.#waiting.length === 0) setImmediate(() => { this.#flush(); });
    this.#waiting.push(bytes);
    done?.();
  }

  #flush(): void {
    // A line that is lost says so by itself.
    void this.#line.write(Buffer.concat(this.#waiting.splice(0))).catch(() => undefined);
  }
}

import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { SerialPort } from "serialport";
import { hexOf } from "./desk.ts";

/** A port as a driver would open it, and what came in on it. */
export class Port {
  readonly #port: SerialPort;
  #bytes = Buffer.alloc(0);
  readonly closed: Promise<unknown>;

  private constructor(port: SerialPort) {
    this.#port = port;
    port.on("data", (bytes: Buffer) => { this.#bytes = Buffer.concat([this.#bytes, bytes]); });
    port.on("error", () => undefined);
    this.closed = new Promise((resolve) => { port.once("close", resolve); });
  }

  static async open(path: string): Promise<Port> {
    const port = new SerialPort({ path, baudRate: 57600 });
    await once(port, "open");
    return new Port(port);
  }

  write(bytes: Uint8Array): void {
    this.#port.write(bytes);
  }

  /** Writes, and waits for `count` bytes. */
  async ask(bytes: Uint8Array, count: number): Promise<string> {
    this.#bytes = Buffer.alloc(0);
    this.#port.write(bytes);
    while (this.#bytes.length < count) await pause(2);
    return hexOf(this.#bytes);
  }

  /** Asks again and again until what has come since fits: who has just started hears nothing. */
  async until(bytes: Uint8Array, wanted: RegExp): Promise<string> {
    this.#bytes = Buffer.alloc(0);
    for (let n = 0; !wanted.test(hexOf(this.#bytes)); n++) {
      if (n % 20 === 0) this.#port.write(bytes);
      await pause(10);
    }
    return hexOf(this.#bytes);
  }

  async close(): Promise<void> {
    this.#port.close();
    await this.closed;
  }
}

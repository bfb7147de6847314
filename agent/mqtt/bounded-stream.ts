import { Duplex } from "node:stream";
import type { Socket } from "node:net";
import { MqttError } from "./errors.ts";
import { PacketMeter } from "./framing.ts";

export interface Bounds {
  /** Largest packet taken from the peer, bytes. */
  readonly packetBytes: number;
  /** Bytes kept for a peer that does not read. */
  readonly queuedBytes: number;
}

/**
 * A connection as the broker sees it, bounded both ways. aedes holds up *whoever published* until the
 * slowest reader has drained, and buffers a packet whole before it looks at it; so this stream always
 * takes what is written, and ends the connection when the peer is too far behind or announces too much.
 */
export class BoundedStream extends Duplex {
  readonly #socket: Socket;
  readonly #bounds: Bounds;

  constructor(socket: Socket, bounds: Bounds) {
    super();
    this.#socket = socket;
    this.#bounds = bounds;
    const meter = new PacketMeter(bounds.packetBytes);
    socket.on("data", (chunk: Buffer) => {
      if (!meter.accepts(chunk)) this.destroy(new MqttError("PACKET_TOO_LARGE", `a packet of more than ${bounds.packetBytes} bytes`));
      else if (!this.push(chunk)) socket.pause();
    });
    socket.on("end", () => { this.push(null); });
    socket.on("error", (error) => { this.destroy(error); });
    socket.on("close", () => { this.destroy(); });
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error) => void): void {
    this.#send([chunk], done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error) => void): void {
    this.#send(chunks.map(({ chunk }) => chunk), done);
  }

  /** A packet is several small chunks; corked they leave as one TLS record. */
  #send(chunks: readonly Buffer[], done: (error?: Error) => void): void {
    const { queuedBytes } = this.#bounds;
    this.#socket.cork();
    for (const chunk of chunks) this.#socket.write(chunk);
    this.#socket.uncork();
    done(this.#socket.writableLength > queuedBytes
      ? new MqttError("CONSUMER_TOO_SLOW", `more than ${queuedBytes} bytes wait for a connection that does not read them`)
      : undefined);
  }

  override _final(done: () => void): void {
    this.#socket.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}

/**
 * Follows the packets in a byte stream by their fixed headers (MQTT 3.1.1 §2.2) and refuses a packet by
 * the length it announces, before any of its body is buffered. It looks at nothing else.
 */
export class PacketMeter {
  readonly #mostBytes: number;
  /** Bytes of the current packet's body still to come; 0 between packets. */
  #body = 0;
  /** Bytes of the remaining-length field read so far; -1 while a packet's first byte is awaited. */
  #lengthBytes = -1;
  #length = 0;

  /** `mostBytes` is the largest remaining length accepted. */
  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /** False as soon as a packet announces more than is accepted, or a length of more than four bytes. */
  accepts(chunk: Uint8Array): boolean {
    let at = 0;
    while (at < chunk.length) {
      if (this.#body > 0) {
        const taken = Math.min(this.#body, chunk.length - at);
        this.#body -= taken;
        at += taken;
      } else if (!this.#header(chunk[at++] ?? 0)) {
        return false;
      }
    }
    return true;
  }

  #header(byte: number): boolean {
    if (this.#lengthBytes === -1) {
      this.#lengthBytes = 0;
      this.#length = 0;
      return true;
    }
    // §2.2.3: seven bits a byte, least significant first; the high bit says that another follows.
    this.#length += (byte & 0x7f) * 128 ** this.#lengthBytes;
    this.#lengthBytes += 1;
    if (this.#length > this.#mostBytes) return false;
    if (byte >= 0x80) return this.#lengthBytes < 4;
    this.#body = this.#length;
    this.#lengthBytes = -1;
    return true;
  }
}

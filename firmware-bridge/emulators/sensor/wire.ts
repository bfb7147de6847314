/**
 * The emulated sensor's side of the EF01 wire format (hardware/fingerprint.md §1.2), written apart from
 * the driver's so that each checks the other. Big endian; the checksum sums type, length and content.
 */
export const packetType = { command: 1, data: 2, reply: 7, lastData: 8 } as const;

export interface Frame {
  readonly address: number;
  readonly type: number;
  readonly content: Uint8Array;
  readonly sound: boolean;
}

const headLength = 9;
/** Content of at most 256 bytes and its checksum. */
const mostLength = 258;

export function checksum(type: number, content: Uint8Array): number {
  const length = content.length + 2;
  let sum = type + (length >> 8) + (length & 0xff);
  for (const byte of content) sum += byte;
  return sum & 0xffff;
}

export function frame(address: number, type: number, content: Uint8Array): Uint8Array {
  const out = new Uint8Array(headLength + content.length + 2);
  const view = new DataView(out.buffer);
  view.setUint16(0, 0xef01);
  view.setUint32(2, address);
  view.setUint8(6, type);
  view.setUint16(7, content.length + 2);
  out.set(content, headLength);
  view.setUint16(headLength + content.length, checksum(type, content));
  return out;
}

/** Collects bytes and gives every frame that is complete; what cannot be one is skipped byte by byte. */
export class Receiver {
  #bytes: number[] = [];

  feed(chunk: Uint8Array): Frame[] {
    this.#bytes.push(...chunk);
    const frames: Frame[] = [];
    for (let found = this.#next(); found !== null; found = this.#next()) frames.push(found);
    return frames;
  }

  #next(): Frame | null {
    const bytes = this.#bytes;
    for (;;) {
      while (bytes.length > 0 && !(bytes[0] === 0xef && (bytes.length < 2 || bytes[1] === 0x01))) bytes.shift();
      if (bytes.length < headLength) return null;
      const length = ((bytes[7] ?? 0) << 8) | (bytes[8] ?? 0);
      if (length >= 2 && length <= mostLength) {
        if (bytes.length < headLength + length) return null;
        return this.#take(length);
      }
      bytes.shift(); // a length that no packet has: look for the next header
    }
  }

  #take(length: number): Frame {
    const raw = Uint8Array.from(this.#bytes.splice(0, headLength + length));
    const view = new DataView(raw.buffer);
    const content = raw.slice(headLength, headLength + length - 2);
    const type = view.getUint8(6);
    return { address: view.getUint32(2), type, content, sound: view.getUint16(raw.length - 2) === checksum(type, content) };
  }
}

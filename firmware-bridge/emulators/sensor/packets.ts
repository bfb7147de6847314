import { concat } from "../../../agent/runtime/encoding.ts";

/** Packets of the EF01 family as the *module* sees them (hardware/fingerprint.md §1.2). */
export const pid = { command: 0x01, data: 0x02, ack: 0x07, end: 0x08 } as const;

export interface Packet {
  /** Unsigned 32 bits. */
  readonly address: number;
  readonly pid: number;
  /** Without the checksum; 0 to 256 bytes. */
  readonly content: Uint8Array;
}
export interface Received extends Packet {
  /** Whether the checksum was right. */
  readonly intact: boolean;
}

const headerBytes = 9;
const length = { least: 2, most: 258 } as const;

/** PID, both length bytes and the content are summed; header and address are not. */
function checksum(kind: number, declared: number, content: Uint8Array): number {
  return content.reduce((sum, byte) => sum + byte, kind + (declared >> 8) + (declared & 0xff)) & 0xffff;
}

export function encode(packet: Packet): Uint8Array {
  const declared = packet.content.length + 2;
  const bytes = new Uint8Array(headerBytes + declared);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0xef01);
  view.setUint32(2, packet.address);
  view.setUint8(6, packet.pid);
  view.setUint16(7, declared);
  bytes.set(packet.content, headerBytes);
  view.setUint16(headerBytes + packet.content.length, checksum(packet.pid, declared, packet.content));
  return bytes;
}

/** Cuts the incoming bytes into packets; whatever does not begin with EF 01 and a possible length is skipped. */
export class PacketReader {
  #bytes: Uint8Array = new Uint8Array(0);

  push(bytes: Uint8Array): Received[] {
    this.#bytes = concat(this.#bytes, bytes);
    const packets: Received[] = [];
    for (let packet = this.#next(); packet !== null; packet = this.#next()) packets.push(packet);
    return packets;
  }

  /** The line fell silent in the middle of something: begin anew. */
  forget(): void {
    this.#bytes = new Uint8Array(0);
  }

  get empty(): boolean {
    return this.#bytes.length === 0;
  }

  #next(): Received | null {
    for (;;) {
      this.#skipToHeader();
      if (this.#bytes.length < headerBytes) return null;
      const view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength);
      const declared = view.getUint16(7);
      if (declared < length.least || declared > length.most) {
        this.#bytes = this.#bytes.subarray(2);
        continue;
      }
      const whole = headerBytes + declared;
      if (this.#bytes.length < whole) return null;
      const kind = view.getUint8(6);
      const content = this.#bytes.slice(headerBytes, whole - 2);
      const intact = view.getUint16(whole - 2) === checksum(kind, declared, content);
      const packet = { address: view.getUint32(2), pid: kind, content, intact };
      this.#bytes = this.#bytes.subarray(whole);
      return packet;
    }
  }

  #skipToHeader(): void {
    const at = this.#bytes.findIndex((byte, index) => byte === 0xef && (this.#bytes[index + 1] ?? 0x01) === 0x01);
    this.#bytes = at === -1 ? new Uint8Array(0) : this.#bytes.subarray(at);
  }
}

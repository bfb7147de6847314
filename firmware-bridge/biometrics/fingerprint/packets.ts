import { concat } from "../../../agent/runtime/encoding.ts";

/**
 * The EF01 packet (hardware/fingerprint.md §1.2), big endian:
 *
 *   EF 01 | address 4 | type 1 | length 2 = content + 2 | content | checksum 2
 *
 * The checksum is the sum of type, length and content bytes modulo 65536; header and address are outside it.
 */
export const packetType = { command: 0x01, data: 0x02, ack: 0x07, end: 0x08 } as const;
export type PacketType = (typeof packetType)[keyof typeof packetType];

export interface Packet {
  readonly address: number;
  readonly type: PacketType;
  readonly content: Uint8Array;
}

const header = 9;
const types: readonly number[] = Object.values(packetType);
/** 256 content bytes at the largest packet size; an empty data packet holds its checksum only (§1.2). */
const length = { least: 2, most: 258 } as const;

function checksum(bytes: Uint8Array): number {
  return bytes.reduce((sum, byte) => sum + byte, 0) & 0xffff;
}

/** `content` is at most 256 bytes. */
export function encodePacket({ address, type, content }: Packet): Uint8Array<ArrayBuffer> {
  const packet = new Uint8Array(new ArrayBuffer(header + content.length + 2));
  const view = new DataView(packet.buffer);
  view.setUint16(0, 0xef01);
  view.setUint32(2, address);
  view.setUint8(6, type);
  view.setUint16(7, content.length + 2);
  packet.set(content, header);
  view.setUint16(header + content.length, checksum(packet.subarray(6, header + content.length)));
  return packet;
}

export type Heard =
  | { readonly kind: "packet"; readonly packet: Packet }
  /** Bytes outside any packet; 55h among them says that the module has just started (§1.3). */
  | { readonly kind: "stray"; readonly bytes: Uint8Array }
  | { readonly kind: "bad-type" | "bad-length" | "bad-checksum" | "cut-short" };

/** What the parser carries from one chunk to the next. */
export interface ParserState {
  /** An unfinished packet, or what may become one. */
  readonly rest: Uint8Array;
  /** Inside the debris of a damaged packet: skipped bytes are its content and not news of their own. */
  readonly damaged: boolean;
}

export const parserStart: ParserState = { rest: new Uint8Array(0), damaged: false };

type Attempt = "incomplete" | { readonly packet: Packet; readonly end: number } | { readonly fault: "bad-type" | "bad-length" | "bad-checksum" };

/** Reads one packet that starts (EF 01) at `start`. */
function packetAt(bytes: Uint8Array, start: number): Attempt {
  if (bytes.length < start + header) return "incomplete";
  const view = new DataView(bytes.buffer, bytes.byteOffset + start);
  const type = types.find((known): known is PacketType => known === view.getUint8(6));
  if (type === undefined) return { fault: "bad-type" };
  const size = view.getUint16(7);
  if (size < length.least || size > length.most) return { fault: "bad-length" };
  const end = start + header + size;
  if (bytes.length < end) return "incomplete";
  if (view.getUint16(header + size - 2) !== checksum(bytes.subarray(start + 6, end - 2))) return { fault: "bad-checksum" };
  return { packet: { address: view.getUint32(2), type, content: bytes.slice(start + header, end - 2) }, end };
}

/** Where EF 01 starts at or after `from`; a last byte EF may be its first half. */
function nextHeader(bytes: Uint8Array, from: number): number {
  for (let i = from; i < bytes.length; i++) {
    if (bytes[i] === 0xef && (i + 1 === bytes.length || bytes[i + 1] === 0x01)) return i;
  }
  return bytes.length;
}

function wholePacketAfter(bytes: Uint8Array, start: number): number | undefined {
  for (let i = nextHeader(bytes, start + 2); i < bytes.length; i = nextHeader(bytes, i + 1)) {
    const attempt = packetAt(bytes, i);
    if (typeof attempt === "object" && "packet" in attempt) return i;
  }
  return undefined;
}

/**
 * Feeds `chunk` to the parser. It never throws, and after any damage looks for the next header *inside*
 * what it took for a packet, so a false header hides a true packet only until enough bytes came, or until
 * the line went `quiet`: then whole packets inside an unfinished one are taken, and a true unfinished one stays.
 */
export function parse(state: ParserState, chunk: Uint8Array, quiet = false): { readonly state: ParserState; readonly heard: readonly Heard[] } {
  const bytes = concat(state.rest, chunk);
  const heard: Heard[] = [];
  let damaged = state.damaged;
  let at = 0;
  for (;;) {
    const start = nextHeader(bytes, at);
    if (start > at && !damaged) heard.push({ kind: "stray", bytes: bytes.slice(at, start) });
    const attempt = packetAt(bytes, start);
    if (attempt === "incomplete") {
      const inner = quiet ? wholePacketAfter(bytes, start) : undefined;
      if (inner === undefined) return { state: { rest: bytes.slice(start), damaged }, heard };
      heard.push({ kind: "cut-short" });
      damaged = false;
      at = inner;
    } else if ("fault" in attempt) {
      heard.push({ kind: attempt.fault });
      damaged = true;
      at = start + 2;
    } else {
      heard.push({ kind: "packet", packet: attempt.packet });
      damaged = false;
      at = attempt.end;
    }
  }
}

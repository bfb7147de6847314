/** The blocks that a module tells about itself: hardware/fingerprint.md §§2.4, 2.5. */
export interface Parameters {
  readonly status: number;
  readonly systemId: number;
  /** Slots 0 … capacity - 1. */
  readonly capacity: number;
  /** 1 (most false accepts) … 5 (fewest). */
  readonly securityLevel: number;
  readonly address: number;
  /** Content bytes of a data packet, both ways: 32, 64, 128 or 256. */
  readonly packetSize: number;
  readonly baudRate: number;
}

/** `body`: the 16 bytes after the confirmation code. */
export function parseParameters(body: Uint8Array): Parameters {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  return {
    status: view.getUint16(0),
    systemId: view.getUint16(2),
    capacity: view.getUint16(4),
    securityLevel: view.getUint16(6),
    address: view.getUint32(8),
    packetSize: 32 << Math.min(view.getUint16(12), 3),
    baudRate: view.getUint16(14) * 9600,
  };
}

export interface Product {
  readonly model: string;
  readonly batch: string;
  readonly serial: string;
  readonly hardware: string;
  readonly templateSize: number;
  readonly capacity: number;
}

/** `body`: the 46 bytes after the confirmation code. */
export function parseProduct(body: Uint8Array): Product {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const text = (from: number, length: number): string =>
    Buffer.from(body.subarray(from, from + length)).toString("latin1").replace(/[^ -~].*$/s, "").trim();
  return {
    model: text(0, 16),
    batch: text(16, 4),
    serial: text(20, 8),
    hardware: `${view.getUint8(28)}.${view.getUint8(29)}`,
    templateSize: view.getUint16(42),
    capacity: view.getUint16(44),
  };
}

/** Slots in use, lowest first, of one 32-byte index page: one bit a slot, lowest bit first (§2.4). */
export function parseIndexPage(page: number, body: Uint8Array): readonly number[] {
  const slots: number[] = [];
  body.forEach((byte, index) => {
    for (let bit = 0; bit < 8; bit++) if (((byte >> bit) & 1) === 1) slots.push(page * 256 + index * 8 + bit);
  });
  return slots;
}

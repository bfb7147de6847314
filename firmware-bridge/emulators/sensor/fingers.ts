import { createHash } from "node:crypto";

/**
 * The matching model, our own invention (hardware/fingerprint.md §8): a finger is a name. Its features are
 * a keyed pseudo-random blob in which the emulator finds the name's mark again, so that a template keeps
 * its meaning when it is read out of one emulated sensor and written into another.
 */
const markLength = 16;
const seedLength = 4;
const headLength = 4 + markLength + seedLength;
const magic = Buffer.from("FPT1");

function mark(finger: string): Buffer {
  return createHash("sha256").update("emulated finger").update(finger).digest().subarray(0, markLength);
}

/** A template of `length` bytes of this finger; another capture has another `seed` and other bytes. */
export function featuresOf(finger: string, seed: number, length: number): Uint8Array {
  const head = Buffer.alloc(headLength);
  magic.copy(head);
  mark(finger).copy(head, magic.length);
  head.writeUInt32BE(seed, magic.length + markLength);
  const blocks = [head];
  for (let size = headLength, i = 0; size < length; size += 32, i++) blocks.push(createHash("sha256").update(head).update(String(i)).digest());
  return new Uint8Array(Buffer.concat(blocks).subarray(0, length));
}

export function isTemplate(bytes: Uint8Array): boolean {
  return bytes.length >= headLength && magic.equals(bytes.subarray(0, magic.length));
}

/** 60 to 200 for two templates of one finger, 0 to 19 for others; symmetric, and the same every time. */
export function score(a: Uint8Array, b: Uint8Array): number {
  const noise = (createHash("sha256").update(a.subarray(0, headLength)).digest()[0] ?? 0) ^ (createHash("sha256").update(b.subarray(0, headLength)).digest()[0] ?? 0);
  const same = isTemplate(a) && isTemplate(b) && Buffer.from(a.subarray(4, 4 + markLength)).equals(b.subarray(4, 4 + markLength));
  return same ? 60 + Math.floor(noise * 140 / 255) : Math.floor(noise * 19 / 255);
}

/** What a comparison must reach, rising with the security level 1 to 5. */
export function threshold(level: number): number {
  return 20 + 8 * level;
}

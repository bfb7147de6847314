import { createCipheriv, createHash, createHmac } from "node:crypto";
import { concat } from "../../../agent/runtime/encoding.ts";
import { equalBytes } from "../../../agent/runtime/secrets.ts";

/**
 * The matching model, our own invention: nothing here measures anything. Images, features and templates
 * are pseudo-random bytes under one fixed key, which says who the finger is to any emulator and looks
 * like noise to everybody else. So a template works in another emulator too, as it does between real
 * modules of one type (hardware/fingerprint.md W8), and one changed bit makes it match nobody.
 */
export type Kind = "image" | "feature" | "template";
export interface Print {
  readonly kind: Kind;
  /** 16 bytes, fresh for every capture: two captures of one finger never look alike. */
  readonly nonce: Uint8Array;
  /** 16 bytes for each finger in it; a template of two people has two (quirk Q6). */
  readonly fingers: readonly Uint8Array[];
  /** 0..100 */
  readonly quality: number;
}

const kinds: readonly Kind[] = ["image", "feature", "template"];
const key = createHash("sha256").update("shardkeep emulated fingerprints, no secret").digest();
const nonceBytes = 16;
const fingerBytes = 16;
const mostFingers = 6;
const claimBytes = 3 + mostFingers * fingerBytes;
const tagBytes = 13;

export function fingerOf(name: string): Uint8Array {
  return new Uint8Array(createHash("sha256").update(`finger ${name}`).digest().subarray(0, fingerBytes));
}

/** nonce, then AES-256-CTR(claim, tag, zeros) up to `size` bytes (at least 128). */
export function render(print: Print, size: number): Uint8Array {
  const plain = new Uint8Array(size - nonceBytes);
  plain.set([kinds.indexOf(print.kind), print.quality, print.fingers.length, ...print.fingers.flatMap((finger) => [...finger])]);
  plain.set(tag(print.nonce, plain.subarray(0, claimBytes)), claimBytes);
  return concat(print.nonce, keystream(print.nonce, plain));
}

/** What `bytes` show, or null if no emulator made them. */
export function recognise(bytes: Uint8Array): Print | null {
  if (bytes.length < nonceBytes + claimBytes + tagBytes) return null;
  const nonce = bytes.slice(0, nonceBytes);
  const plain = keystream(nonce, bytes.subarray(nonceBytes));
  const claim = plain.subarray(0, claimBytes);
  const rest = plain.subarray(claimBytes + tagBytes);
  if (!equalBytes(plain.subarray(claimBytes, claimBytes + tagBytes), tag(nonce, claim)) || rest.some((byte) => byte !== 0)) return null;
  const [kindIndex = 0, quality = 0, count = 0] = claim;
  const fingers = Array.from({ length: count }, (_, n) => claim.slice(3 + n * fingerBytes, 3 + (n + 1) * fingerBytes));
  return { kind: kinds[kindIndex] ?? "image", nonce, fingers, quality };
}

/** A nonce that follows from what a print was made of: the same input gives the same bytes again. */
export function nonceFrom(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(createHash("sha256").update(concat(...parts)).digest().subarray(0, nonceBytes));
}

/** Least score that counts as a match at security level 1..5 (§2.9: the level is the threshold). */
export function threshold(level: number): number {
  return 30 + 10 * level;
}

/** 100..200 less what quality is missing if a finger is in both; 0..20 otherwise. */
export function score(feature: Print, template: Print): number {
  const [high = 0, low = 0] = nonceFrom(feature.nonce, template.nonce);
  const luck = high * 256 + low;
  const same = feature.fingers.some((finger) => template.fingers.some((other) => equalBytes(finger, other)));
  return same ? luck % 101 + Math.min(feature.quality, template.quality) : luck % 21;
}

function tag(nonce: Uint8Array, claim: Uint8Array): Uint8Array {
  return createHmac("sha256", key).update(nonce).update(claim).digest().subarray(0, tagBytes);
}

function keystream(nonce: Uint8Array, bytes: Uint8Array): Uint8Array {
  const cipher = createCipheriv("aes-256-ctr", key, nonce);
  return concat(cipher.update(bytes), cipher.final());
}

/** The print of `name` on a sensor, of `quality` 0..100. */
export function capture(name: string, quality: number, nonce: Uint8Array): Print {
  return { kind: "image", nonce, fingers: [fingerOf(name)], quality };
}

import { hash } from "node:crypto";
import { Prng } from "../prng.ts";

/**
 * Cryptography for simulations: the contract of the real one among parties of one process, a hundred times as fast,
 * and reproducible from a seed. Whoever knows a public key finds its secret here, which is what makes it a toy.
 */
let random = new Prng(0);
const secrets = new Map<string, Uint8Array>();

/** Forgets every key and begins again: each seed finds the same world. */
export function reseed(seed: number): void {
  random = new Prng(seed);
  secrets.clear();
}

export function toyBytes(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(new ArrayBuffer(length));
  for (let i = 0; i < length; i++) bytes[i] = random.int(256);
  return bytes;
}

export function toyHash(algorithm: "sha256" | "sha512", ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(hash(algorithm, Buffer.concat(parts), "buffer"));
}

const name = (point: Uint8Array): string => Buffer.from(point).toString("latin1");

/** 65 bytes that look like a point; its secret is found by {@link secretOf}. */
export function pointFor(secret: Uint8Array): Uint8Array<ArrayBuffer> {
  const point = new Uint8Array(65);
  point[0] = 4;
  point.set(toyHash("sha512", secret), 1);
  secrets.set(name(point), secret);
  return point;
}

export function secretOf(point: Uint8Array): Uint8Array | undefined {
  return secrets.get(name(point));
}

import type { Signer } from "../../../agent/protocol/es256.ts";
import type * as real from "../../../agent/protocol/es256.ts";
import { fromBase64url, toBase64url } from "../../../agent/runtime/encoding.ts";
import { pointFor, secretOf, toyBytes, toyHash } from "./toy.ts";

/** Stands for agent/protocol/es256.ts in a simulation. */
export function verifyEs256(publicKey: string, message: Uint8Array, signature: string): boolean {
  const point = fromBase64url(publicKey);
  const secret = point === null ? undefined : secretOf(point);
  return secret !== undefined && toBase64url(toyHash("sha512", secret, message)) === signature;
}

export function generateSigner(): Signer & { readonly publicKey: string } {
  const secret = toyBytes(32);
  return { publicKey: toBase64url(pointFor(secret)), sign: (message) => toyHash("sha512", secret, message) };
}

function absent(): never {
  throw new TypeError("a simulation has no key objects");
}
export const pointOf = absent;
export const softwareSigner = absent;

({ verifyEs256, generateSigner, pointOf, softwareSigner }) satisfies typeof real;

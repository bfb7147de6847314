import type { DecipherGCM } from "node:crypto";
import { secretBytes, wipe } from "./secrets.ts";

const stepBytes = 8;

/**
 * The plaintext of `ct`, in secret memory that the caller wipes; throws what `final` throws, then nothing is kept.
 * Node's `update` deciphers into one block, copies that into a second that it returns, and frees the first with the
 * plaintext in it (measured, Node 20 on glibc: most of 80 bytes are found later). In steps of 8 bytes all that is
 * left in such a block is overwritten by malloc's own link.
 */
export function decipherSecret(decipher: DecipherGCM, ct: Uint8Array): Uint8Array<ArrayBuffer> {
  const plaintext = secretBytes(ct.length);
  try {
    for (let at = 0; at < ct.length; at += stepBytes) {
      const step = decipher.update(ct.subarray(at, at + stepBytes));
      plaintext.set(step, at);
      wipe(step);
    }
    decipher.final();
    return plaintext;
  } catch (error) {
    wipe(plaintext);
    throw error;
  }
}

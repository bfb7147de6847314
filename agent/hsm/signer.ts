import type { Signer } from "../protocol/es256.ts";
import type { Hsm } from "./hsm.ts";

/** Signs with a key of this HSM. */
export function signerOf(hsm: Pick<Hsm, "sign">, role: Parameters<Hsm["sign"]>[0]): Signer {
  return { sign: (message) => hsm.sign(role, message) };
}

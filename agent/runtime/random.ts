import { randomFillSync } from "node:crypto";
import { secretBytes } from "./secrets.ts";

/** A source of uniform bytes, injected so that a simulation can replay. */
export interface Random {
  /** `length` fresh bytes in a view over its own ArrayBuffer. */
  bytes(length: number): Uint8Array<ArrayBuffer>;
}

export const systemRandom: Random = {
  bytes: (length) => randomFillSync(secretBytes(length)),
};

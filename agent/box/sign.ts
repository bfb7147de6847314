import { signerOf } from "../hsm/client.ts";
import { signStatement } from "../protocol/statement.ts";
import type { BoxParts } from "./parts.ts";

/** A statement of this box, signed by its identity key. */
export function signAs<T extends string, B>({ hsm, site, box }: Pick<BoxParts, "hsm" | "site" | "box">, type: T, body: B) {
  return signStatement(signerOf(hsm, "identity"), type, site, box, body);
}

import { signerOf, type Hsm } from "../hsm/client.ts";
import { signStatement } from "../protocol/statement.ts";

/** A statement of this box, signed by its identity key. */
export function signAs<T extends string, B>({ hsm, site, box }: { readonly hsm: Pick<Hsm, "sign">; readonly site: string; readonly box: string }, type: T, body: B) {
  return signStatement(signerOf(hsm, "identity"), type, site, box, body);
}

import { z } from "zod";
import { toBase64url } from "../runtime/encoding.ts";
import { oncePer } from "../runtime/once.ts";
import { canonical, digest, type Value } from "./canonical.ts";
import { verifyEs256, type Signer } from "./es256.ts";
import { id, signature } from "./primitives.ts";

/**
 * A self-proving statement (protocol.md §1): any party may relay it. The signature covers type, site,
 * signer and body in the canonical encoding, so it means nothing under another type or on another site.
 */
export interface Signed<Body> {
  readonly type: string;
  readonly site: string;
  readonly by: string;
  readonly body: Body;
  readonly sig: string;
}

/** The schema of a signed statement of `type`; unknown fields are refused. */
export function statement<T extends string, B extends z.ZodType>(type: T, body: B) {
  return z.strictObject({ type: z.literal(type), site: id, by: id, body, sig: signature });
}

type Unsigned = Omit<Signed<unknown>, "sig">;

function signedBytes({ type, site, by, body }: Unsigned): Uint8Array {
  return canonical(`statement/${type}`, site, { by, body: body as Value });
}

export async function signStatement<T extends string, Body>(
  signer: Signer, type: T, site: string, by: string, body: Body,
): Promise<Signed<Body> & { readonly type: T }> {
  const sig = await signer.sign(signedBytes({ type, site, by, body }));
  return { type, site, by, body, sig: toBase64url(sig) };
}

/** True if `by`'s key made this statement for this site. Who `by` is, the caller takes from the site record. */
export function verifyStatement(signed: Signed<unknown>, site: string, publicKey: string): boolean {
  return signed.site === site && verifyEs256(publicKey, signedBytes(signed), signed.sig);
}

/**
 * Names a statement in others: SHA-256 over what is signed, not over the (malleable) signature. Once a statement: the
 * plan of a large batch is 100 KB, and everything about it asks for its name.
 */
export const statementHash = oncePer(({ type, site, by, body }: Signed<unknown>) => toBase64url(digest(`statement-hash/${type}`, site, { by, body: body as Value })));

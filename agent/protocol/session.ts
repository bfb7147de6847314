import { z } from "zod";
import type { Random } from "../runtime/random.ts";
import { toBase64url } from "../runtime/encoding.ts";
import { generateSigner, type Signer } from "./es256.ts";
import { publicKey, random128 } from "./primitives.ts";
import { signStatement, statement, type Signed } from "./statement.ts";

/**
 * An HSM signs slowly (a YubiHSM 13 times a second), so at start the identity key certifies a session
 * key in memory that signs everything but evidence and re-shard statements (design §4).
 */
export const sessionBody = z.strictObject({ boot: random128, key: publicKey });
export const sessionCertificate = statement("session", sessionBody);
export type SessionCertificate = z.infer<typeof sessionCertificate>;

export interface Session {
  readonly certificate: Signed<z.infer<typeof sessionBody>> & { readonly type: "session" };
  readonly signer: Signer;
}

/** Begins a session of `by`: one identity signature, one new boot id. */
export async function beginSession(identity: Signer, site: string, by: string, random: Random): Promise<Session> {
  const { publicKey: key, ...signer } = generateSigner();
  const certificate = await signStatement(identity, "session", site, by, { boot: toBase64url(random.bytes(16)), key });
  return { certificate, signer };
}

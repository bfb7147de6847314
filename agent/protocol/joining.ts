import { z } from "zod";
import { id, label, publicKey, sealedUpTo } from "./primitives.ts";
import { siteRecord } from "./site-record.ts";
import { statement } from "./statement.ts";
import { canonical } from "./canonical.ts";

/**
 * The file pair by which a box joins (design §6): the request is public and signed by the new identity
 * key, the answer is signed by the site authority. The only secret in either is the challenge secret,
 * sealed to the box's seal key.
 */
export const boxRequest = statement("box-request", z.strictObject({
  zone: label,
  key: publicKey,
  sealKey: z.strictObject({ generation: z.int().min(1), key: publicKey }),
  /** TLS public key, PEM. */
  tlsKey: z.string().max(1000),
}));
export type BoxRequest = z.infer<typeof boxRequest>;

export const boxAnswer = statement("box-answer", z.strictObject({
  box: id,
  /** PEM. */
  certificate: z.string().max(4000),
  ca: z.string().max(4000),
  generation: z.int().min(1),
  challengeSecret: sealedUpTo(32),
  record: siteRecord,
}));
export type BoxAnswer = z.infer<typeof boxAnswer>;

/** The same for a client. Its request is signed by the key that it brings; the answer has nothing secret, and nothing that a connection would not show to be wrong. */
export const clientRequest = statement("client-request", z.strictObject({
  key: publicKey,
  /** TLS public key, PEM. */
  tlsKey: z.string().max(1000),
}));
export type ClientRequest = z.infer<typeof clientRequest>;

export const clientAnswer = z.strictObject({
  type: z.literal("client-answer"),
  site: id,
  client: id,
  broker: z.string().max(300),
  coordinator: id,
  /** What the client will believe from now on: people compare its fingerprint. */
  authority: publicKey,
  /** PEM. */
  certificate: z.string().max(4000),
  ca: z.string().max(4000),
});
export type ClientAnswer = z.infer<typeof clientAnswer>;

/** HPKE info of a challenge secret on its way to a box. */
export function challengeSecretContext(site: string, box: string): Uint8Array {
  return canonical("challenge-secret", site, { box });
}

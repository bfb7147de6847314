import { z } from "zod";
import { ShardkeepError } from "../runtime/errors.ts";
import { toBase64url, utf8 } from "../runtime/encoding.ts";
import { canonical, type Value } from "./canonical.ts";
import { verifyEs256 } from "./es256.ts";
import { id, random128, signature } from "./primitives.ts";
import { sessionCertificate, type Session } from "./session.ts";
import { statementHash, verifyStatement } from "./statement.ts";

/**
 * What every MQTT payload is: JSON, signed by a session key over the canonical encoding. Reply-to,
 * correlation and deadline are inside (MQTT 3.1.1 has no properties), and so is the audience.
 */
export const envelopeBody = z.strictObject({
  to: id.or(z.literal("*")),
  /** `request/prompt`, `response/prompt`, `event/heartbeat` … */
  type: z.string().max(64),
  /** Of this message: receivers drop what they have seen. */
  id: random128,
  /** Of the request that this answers. */
  re: random128.optional(),
  /** Another part of the same answer follows. */
  more: z.boolean().optional(),
  /** A recent nonce of the receiver: the sender lives now, this is not a recording. */
  fresh: random128.optional(),
  /** How long the sender waits, in ms from now. */
  deadlineMs: z.int().min(1).max(3_600_000).optional(),
  data: z.json(),
});
export const envelope = z.strictObject({ v: z.literal(1), cert: sessionCertificate, body: envelopeBody, sig: signature });
export type Envelope = z.infer<typeof envelope>;
export type EnvelopeBody = z.infer<typeof envelopeBody>;

export class EnvelopeError extends ShardkeepError<"MESSAGE_MALFORMED" | "SENDER_UNKNOWN" | "SIGNATURE_INVALID" | "WRONG_SITE" | "WRONG_AUDIENCE"> {}

/** Largest message accepted, bytes. Files never travel here: envelope encryption moves 32 bytes. */
export const mostMessageBytes = 512 * 1024;

function signedBytes(site: string, cert: Envelope["cert"], body: EnvelopeBody): Uint8Array {
  return canonical("envelope", site, { cert: statementHash(cert), body: body as Value });
}

/** Signs and serialises one message. */
export async function writeEnvelope(session: Session, body: EnvelopeBody): Promise<Uint8Array> {
  const { certificate: cert, signer } = session;
  const sig = toBase64url(await signer.sign(signedBytes(cert.site, cert, body)));
  return utf8(JSON.stringify({ v: 1, cert, body, sig } satisfies Envelope));
}

/** Certificates already checked, by hash and signature: one identity verification a session. */
export class CertificateCache {
  readonly #known = new Set<string>();
  verify(cert: Envelope["cert"], site: string, identity: string): boolean {
    const name = `${identity} ${statementHash(cert)} ${cert.sig}`;
    if (this.#known.has(name)) return true;
    if (!verifyStatement(cert, site, identity)) return false;
    if (this.#known.size >= 1024) this.#known.clear();
    this.#known.add(name);
    return true;
  }
}

export interface Reader {
  readonly site: string;
  readonly self: string;
  /** The identity key of a box, client or coordinator by the site record; undefined if it has none. */
  readonly keyOf: (sender: string) => string | undefined;
  readonly certificates: CertificateCache;
}

/** Parses and checks one message; throws {@link EnvelopeError}. Freshness and duplicates are the exchange's matter. */
export function readEnvelope(payload: Uint8Array, reader: Reader): Envelope {
  const message = parse(payload);
  const { cert, body, sig } = message;
  if (cert.site !== reader.site) throw new EnvelopeError("WRONG_SITE", `a message of site ${cert.site}`);
  const identity = reader.keyOf(cert.by);
  if (identity === undefined) throw new EnvelopeError("SENDER_UNKNOWN", `${cert.by} is not in the site record`);
  if (!reader.certificates.verify(cert, reader.site, identity)) throw new EnvelopeError("SIGNATURE_INVALID", `the session of ${cert.by} is not signed by its identity key`);
  if (!verifyEs256(cert.body.key, signedBytes(reader.site, cert, body), sig)) throw new EnvelopeError("SIGNATURE_INVALID", `a message of ${cert.by} has a bad signature`);
  if (body.to !== reader.self && body.to !== "*") throw new EnvelopeError("WRONG_AUDIENCE", `a message to ${body.to}`);
  return message;
}

function parse(payload: Uint8Array): Envelope {
  if (payload.length > mostMessageBytes) throw new EnvelopeError("MESSAGE_MALFORMED", `a message of ${payload.length} bytes`);
  let raw: unknown;
  try {
    raw = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload));
  } catch (cause) {
    throw new EnvelopeError("MESSAGE_MALFORMED", "a message that is not JSON", { cause });
  }
  const parsed = envelope.safeParse(raw);
  if (!parsed.success) throw new EnvelopeError("MESSAGE_MALFORMED", `a message with a bad field: ${parsed.error.issues[0]?.path.join(".") ?? ""}`, { cause: parsed.error });
  return parsed.data;
}

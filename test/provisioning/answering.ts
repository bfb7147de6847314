import type { Hsm } from "../../agent/hsm/client.ts";
import { certificateDigest, createTlsAuthority, issueCertificate, type TlsAuthority } from "../../agent/mqtt/tls.ts";
import { generateSigner } from "../../agent/protocol/es256.ts";
import { challengeSecretContext, type BoxAnswer, type BoxRequest } from "../../agent/protocol/joining.ts";
import { signStatement } from "../../agent/protocol/statement.ts";
import { fromBase64url, toBase64url } from "../../agent/runtime/encoding.ts";

export interface Answering {
  readonly authority: ReturnType<typeof generateSigner>;
  readonly tls: TlsAuthority;
  readonly answer: BoxAnswer["body"];
  /** A body signed as the site's authority would. */
  readonly signed: (change?: Partial<BoxAnswer["body"]>, recordChange?: Partial<BoxAnswer["body"]["record"]["body"]>) => Promise<BoxAnswer>;
}

/** A site that lets in the box which made `request`, without a coordinator's process; `coordinator` makes the secret. */
export async function answering({ site, by, body: request }: BoxRequest, coordinator: Hsm): Promise<Answering> {
  const authority = generateSigner();
  const tls = await createTlsAuthority(site);
  const secret = await coordinator.createChallengeSecret({ box: by, recipient: fromBase64url(request.sealKey.key)!, info: challengeSecretContext(site, by) });
  const recordBody: BoxAnswer["body"]["record"]["body"] = {
    version: 2, previous: null, sealed: false, authority: authority.publicKey, tlsAuthority: toBase64url(certificateDigest(tls.certificate)),
    coordinator: { id: "coordinator", key: generateSigner().publicKey }, boxes: [{ id: by, zone: "default", key: request.key }],
    people: [], clients: [], roles: [], rules: [],
  };
  const answer = {
    box: by, certificate: await issueCertificate(tls, by, request.tlsKey), ca: tls.certificate, generation: 1,
    challengeSecret: { enc: toBase64url(secret.enc), ct: toBase64url(secret.ct) },
    record: await signStatement(authority, "site-record", site, "coordinator", recordBody),
  };
  return {
    authority, tls, answer,
    signed: async (change = {}, recordChange) => await signStatement(authority, "box-answer", site, "coordinator", {
      ...answer, ...(recordChange === undefined ? {} : { record: await signStatement(authority, "site-record", site, "coordinator", { ...recordBody, ...recordChange }) }), ...change,
    }),
  };
}

import { toBase64url } from "../runtime/encoding.ts";
import { ShardkeepError } from "../runtime/errors.ts";
import { canonical, digest } from "./canonical.ts";
import type { Signer } from "./es256.ts";
import type { Sealed } from "./primitives.ts";
import type { UseBody } from "./request.ts";
import type { Recipient } from "./seal.ts";
import { openText, sealToText } from "./sealed.ts";
import { signStatement, verifyStatement } from "./statement.ts";

/**
 * What passes between client and enclave, through a coordinator that reads neither (protocol.md §3): the
 * payload on its way in, bound to the request's id, and the result on its way out, bound to the request
 * digest and signed by the enclave key inside that digest.
 */

/** The signer's name in the enclave's statements; its key is `fields.enclave.sign`, not one of the site record. */
export const enclaveName = "enclave";

export interface SignedResult {
  /** The request digest, base64url of 32 bytes. */
  readonly digest: string;
  readonly result: Sealed;
  /** ES256 over the statement `result`, base64url of 64 bytes. */
  readonly sig: string;
}

export class ResultError extends ShardkeepError<"RESULT_INVALID"> {}

const noAad = new Uint8Array();

function payloadContext(site: string, { request }: UseBody): Uint8Array {
  return canonical("payload-seal", site, { request });
}

function resultContext(site: string, requestDigest: string): Uint8Array {
  return canonical("result", site, { digest: requestDigest });
}

/** How an enclave's statement names the result that it sealed. */
export function resultHash(site: string, { enc, ct }: Sealed): string {
  return toBase64url(digest("sealed-result", site, { enc, ct }));
}

/** Seals `salted` (salt 32 ‖ payload) to the enclave that was announced. The caller wipes it. */
export function sealPayload(site: string, use: UseBody, enclaveSeal: string, salted: Uint8Array): Sealed {
  return sealToText(enclaveSeal, payloadContext(site, use), noAad, salted);
}

/** The inverse of {@link sealPayload}, in secret memory that the caller wipes. Throws SEAL_INVALID. */
export function openPayload(site: string, use: UseBody, recipient: Recipient, payload: Sealed): Uint8Array<ArrayBuffer> {
  return openText(recipient, payload, payloadContext(site, use), noAad);
}

/** Seals `plaintext` to the request's result key and signs that it answers this digest. The caller wipes `plaintext`. */
export async function sealResult(signer: Signer, site: string, use: UseBody, requestDigest: string, plaintext: Uint8Array): Promise<SignedResult> {
  const result = sealToText(use.resultKey, resultContext(site, requestDigest), noAad, plaintext);
  const { sig } = await signStatement(signer, "result", site, enclaveName, { digest: requestDigest, result: resultHash(site, result) });
  return { digest: requestDigest, result, sig };
}

/** Whether the enclave whose signing key this is signed `result` for this digest: it does only once the key's check value was right. */
export function isByEnclave(site: string, enclaveSign: string, body: { readonly digest: string; readonly result: string }, sig: string): boolean {
  return verifyStatement({ type: "result", site, by: enclaveName, body, sig }, site, enclaveSign);
}

/**
 * The result, in secret memory that the caller wipes. `requestDigest` and `enclaveSign` are those that the
 * requester computed and was announced, never those that came with the result. Throws RESULT_INVALID.
 */
export function openResult(recipient: Recipient, site: string, requestDigest: string, enclaveSign: string, signed: SignedResult): Uint8Array<ArrayBuffer> {
  const { result, sig } = signed;
  if (signed.digest !== requestDigest || !isByEnclave(site, enclaveSign, { digest: requestDigest, result: resultHash(site, result) }, sig)) {
    throw new ResultError("RESULT_INVALID", "the result is not signed for this request by its enclave", { remedy: "ask again; if it repeats, the coordinator or the network is changing results" });
  }
  return openText(recipient, result, resultContext(site, requestDigest), noAad);
}

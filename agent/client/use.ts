import { payloadCommitment, saltedPayload } from "../protocol/ciphertext.ts";
import type { Signer } from "../protocol/es256.ts";
import type { KeyParameters, RecoverParameters, RequestFields, ReshardParameters, Use, UseBody } from "../protocol/request.ts";
import { openResult, ResultError, sealPayload } from "../protocol/result.ts";
import { generateRecipient } from "../protocol/seal.ts";
import type { Operation } from "../protocol/site-record.ts";
import { signStatement } from "../protocol/statement.ts";
import { toBase64url } from "../runtime/encoding.ts";
import type { Random } from "../runtime/random.ts";
import { wipe } from "../runtime/secrets.ts";
import { ClientError } from "./errors.ts";
import { Following, suspicious, type FollowParts, type UseOptions } from "./following.ts";

export type { Progress, UseOptions } from "./following.ts";

/** One operation with a key, as its requester asks for it. */
export interface Ask {
  readonly key: string;
  readonly operation: Operation;
  /** What it is about: rules are written for resources, and a ciphertext opens under its own only. */
  readonly resource: string;
  /** 1 to 200 characters, shown to the people who approve. */
  readonly reason: string;
  /** At most 64 KiB; the caller wipes it. */
  readonly payload: Uint8Array;
  /** With operation `create` only. */
  readonly create?: KeyParameters;
}
/** One that people approve and no enclave carries out, with its parameters. */
export type ApprovalAsk = Ask & { readonly reshard?: ReshardParameters; readonly recover?: RecoverParameters };

export interface Outcome {
  /** In secret memory; the caller wipes it. */
  readonly result: Uint8Array<ArrayBuffer>;
  /** Everything that was approved. */
  readonly fields: RequestFields;
  readonly code: string;
}

export interface UseParts extends FollowParts {
  readonly site: string;
  readonly client: string;
  readonly signer: Signer;
  readonly random: Random;
}

const saltBytes = 32;

/** A request, prepared and signed; its payload waits for the enclave. */
export async function prepare({ site, client, signer, random }: UseParts, { payload, ...ask }: ApprovalAsk, resultKey: Uint8Array): Promise<{ use: Use; salted: Uint8Array }> {
  const salt = random.bytes(saltBytes);
  const salted = saltedPayload(salt, payload);
  try {
    const body: UseBody = {
      request: toBase64url(random.bytes(16)), reason: ask.reason, key: ask.key, operation: ask.operation, resource: ask.resource,
      commitment: payloadCommitment(site, salt, payload), resultKey: toBase64url(resultKey),
      ...(ask.create === undefined ? {} : { create: ask.create }),
      ...(ask.reshard === undefined ? {} : { reshard: ask.reshard }),
      ...(ask.recover === undefined ? {} : { recover: ask.recover }),
    };
    return { use: await signStatement(signer, "use", site, client, body), salted };
  } catch (error) {
    wipe(salted);
    throw error;
  } finally {
    wipe(salt);
  }
}

/**
 * Asks for one operation and follows it to its end. The coordinator is believed nothing: what it accepted must be
 * what was asked, word for word, bound to the site record and the session that were verified; the payload goes to
 * the enclave key inside that digest, and only a result signed by that enclave for that digest counts.
 */
export async function runUse(parts: UseParts, ask: Ask, options: UseOptions = {}): Promise<Outcome> {
  const recipient = generateRecipient();
  const { use, salted } = await prepare(parts, ask, recipient.publicKey);
  try {
    const { fields, digest, code, answer } = await new Following(parts, {
      use, ask: (asked) => parts.request("use", { use }, asked),
      // Nothing is combined where there is no enclave: there is nobody to send it to.
      accepted: async (accepted) => {
        if ("enclave" in accepted) await parts.request("payload", { request: use.body.request, payload: sealPayload(parts.site, use.body, accepted.enclave.seal, salted) });
      },
    }, options).answer();
    if (!("enclave" in fields) || !("enclave" in answer)) throw new ResultError("RESULT_INVALID", "the answer is no result of an enclave", { remedy: suspicious });
    const { seal, sign } = fields.enclave;
    if (answer.enclave.seal !== seal || answer.enclave.sign !== sign) throw new ClientError("ENCLAVE_CHANGED", "the answer comes from another enclave than the one that was announced", { remedy: suspicious });
    return { result: openResult(recipient, parts.site, digest, sign, answer), fields, code };
  } finally {
    recipient.destroy();
    wipe(salted);
  }
}

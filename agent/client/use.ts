import type { z } from "zod";
import { payloadCommitment, saltedPayload } from "../protocol/ciphertext.ts";
import type { Signer } from "../protocol/es256.ts";
import type { clientRequests, UsePart } from "../protocol/messages.ts";
import { isApproval, requestCode, requestDigest, type AnyFields, type KeyParameters, type RecoverParameters, type RequestFields, type ReshardParameters, type Use, type UseBody } from "../protocol/request.ts";
import { openResult, ResultError, sealPayload } from "../protocol/result.ts";
import { generateRecipient } from "../protocol/seal.ts";
import type { Operation, Rule, SiteRecordRef } from "../protocol/site-record.ts";
import { signStatement, statementHash } from "../protocol/statement.ts";
import type { Clock } from "../runtime/clock.ts";
import { toBase64url } from "../runtime/encoding.ts";
import type { Random } from "../runtime/random.ts";
import { wipe } from "../runtime/secrets.ts";
import { ClientError } from "./errors.ts";
import type { Request } from "./client.ts";

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

type Accepted = Extract<UsePart, { state: "accepted" }>;
/** How it goes on; `code` is what every display shows for this request. */
export type Progress = Exclude<UsePart, Accepted> | { readonly state: "accepted"; readonly code: string; readonly fields: AnyFields; readonly rule: Rule };

export interface UseOptions {
  readonly onProgress?: (progress: Progress) => void;
  /** Aborted: the request is taken back, and the call rejects with CANCELLED. */
  readonly signal?: AbortSignal;
}

export interface Outcome {
  /** In secret memory; the caller wipes it. */
  readonly result: Uint8Array<ArrayBuffer>;
  /** Everything that was approved. */
  readonly fields: RequestFields;
  readonly code: string;
}

export interface UseParts {
  readonly site: string;
  readonly client: string;
  readonly signer: Signer;
  readonly request: Request;
  readonly clock: Clock;
  readonly random: Random;
  /** The session of the coordinator that was greeted. */
  readonly boot: () => string | undefined;
  /** The site record that was verified. */
  readonly siteRecord: () => SiteRecordRef | undefined;
}

const acceptMs = 20_000;
/** After the time for fingers: challenge, release, or the steps of a birth. */
const afterMs = 60_000;
/** Longest life of a request (`deadlineMs` of its fields) and the above. */
const mostMs = acceptMs + 600_000 + afterMs;
const saltBytes = 32;
type Answer = z.infer<typeof clientRequests.use.response>;

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
    const followed = await new Following(parts, use, salted, options).answer();
    const { fields, digest, code, answer } = followed;
    if (!("enclave" in fields) || !("enclave" in answer)) throw new ResultError("RESULT_INVALID", "the answer is no result of an enclave", { remedy: suspicious });
    const { seal, sign } = fields.enclave;
    if (answer.enclave.seal !== seal || answer.enclave.sign !== sign) throw new ClientError("ENCLAVE_CHANGED", "the answer comes from another enclave than the one that was announced", { remedy: suspicious });
    return { result: openResult(recipient, parts.site, digest, sign, answer), fields, code };
  } finally {
    recipient.destroy();
    wipe(salted);
  }
}

export const suspicious = "do not repeat it before you know why: the coordinator or the network changed what you asked for";

/** Throws unless the accepted fields are those of this request, at this coordinator, under this site record. */
function checkAccepted({ boot, siteRecord }: UseParts, use: Use, fields: AnyFields): void {
  // The hash covers everything but the signature; a second signature over the same words is still ours.
  if (statementHash(fields.use) !== statementHash(use)) throw new ClientError("REQUEST_CHANGED", "the coordinator accepted another request than the one that was signed here", { remedy: suspicious });
  if (isApproval(use.body.operation) === ("enclave" in fields)) throw new ClientError("REQUEST_CHANGED", "the request was bound to an enclave that it does not need, or to none", { remedy: suspicious });
  if (fields.coordinator.boot !== boot()) throw new ClientError("COORDINATOR_CHANGED", "the request was accepted by another session of the coordinator", { remedy: "ask again: it may have been restarted", retryable: true });
  const known = siteRecord();
  if (fields.siteRecord.version !== known?.version || fields.siteRecord.hash !== known.hash) {
    throw new ClientError("RECORD_UNKNOWN", `the request was bound to version ${fields.siteRecord.version} of the site record, which is not the one verified here (${known?.version ?? "none"})`, { remedy: "ask again: it may have changed just now; if it repeats, the coordinator shows its boxes another record", retryable: true });
  }
}

interface Followed { readonly fields: AnyFields; readonly digest: string; readonly code: string; readonly answer: Answer }

/** One request under way: its parts, its deadlines, its withdrawal. */
export class Following {
  readonly #parts: UseParts;
  readonly #use: Use;
  readonly #salted: Uint8Array;
  readonly #options: UseOptions;
  #accepted: Omit<Followed, "answer"> | undefined;
  #cancelDeadline: () => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;

  constructor(parts: UseParts, use: Use, salted: Uint8Array, options: UseOptions) {
    this.#parts = parts;
    this.#use = use;
    this.#salted = salted;
    this.#options = options;
  }

  async answer(): Promise<Followed> {
    const { signal } = this.#options;
    const takeBack = (): void => { void this.#takeBack(); };
    try {
      const answer = await new Promise<Answer>((resolve, reject) => {
        this.#reject = reject;
        this.#within(acceptMs, new ClientError("NOT_ACCEPTED", `the coordinator did not accept the request in ${acceptMs / 1000} s`, { retryable: true, remedy: "shardkeep status" }));
        signal?.addEventListener("abort", takeBack);
        this.#parts.request("use", { use: this.#use }, { deadlineMs: mostMs, onPart: (part) => { this.#part(part); } }).then(resolve, reject);
        if (signal?.aborted === true) takeBack();
      });
      if (this.#accepted === undefined) throw new ClientError("NOT_ACCEPTED", "the coordinator answered a request that it had not accepted", { remedy: suspicious });
      return { ...this.#accepted, answer };
    } finally {
      this.#cancelDeadline();
      signal?.removeEventListener("abort", takeBack);
    }
  }

  #within(ms: number, error: ClientError): void {
    this.#cancelDeadline();
    this.#cancelDeadline = this.#parts.clock.after(ms, () => { this.#giveUp(error); });
  }

  #part(part: UsePart): void {
    if (part.state !== "accepted") {
      if (this.#accepted !== undefined) this.#options.onProgress?.(part);
      return;
    }
    if (this.#accepted !== undefined) return; // the first one holds the payload
    try {
      this.#accept(part);
    } catch (error) {
      this.#giveUp(error);
    }
  }

  #accept({ fields, rule }: Accepted): void {
    checkAccepted(this.#parts, this.#use, fields);
    const digest = requestDigest(fields);
    const code = requestCode(digest);
    this.#accepted = { fields, digest, code };
    this.#within(fields.deadlineMs + afterMs, new ClientError("TIMED_OUT", "the time for this operation is over and the coordinator is silent", { retryable: true, remedy: "shardkeep status" }));
    this.#options.onProgress?.({ state: "accepted", code, fields, rule });
    if (!("enclave" in fields)) return; // nothing is combined: there is nobody to send it to
    const payload = sealPayload(this.#parts.site, this.#use.body, fields.enclave.seal, this.#salted);
    this.#parts.request("payload", { request: this.#use.body.request, payload }).catch((error: unknown) => { this.#giveUp(error); });
  }

  /** Ends the call with `error`, and lets the coordinator know that nobody waits. */
  #giveUp(error: unknown): void {
    this.#reject(error);
    this.#parts.request("cancel", { request: this.#use.body.request }).catch(() => undefined);
  }

  /** The coordinator's CANCELLED is the better answer; without one, ours is good enough. */
  async #takeBack(): Promise<void> {
    await this.#parts.request("cancel", { request: this.#use.body.request }).catch(() => undefined);
    this.#reject(new ClientError("CANCELLED", "the request was taken back", { remedy: "ask again" }));
  }
}

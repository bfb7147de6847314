import type { UsePart } from "../protocol/messages.ts";
import { isApproval, requestCode, requestDigest, type AnyFields, type Use } from "../protocol/request.ts";
import type { Rule, SiteRecordRef } from "../protocol/site-record.ts";
import { statementHash } from "../protocol/statement.ts";
import type { Clock } from "../runtime/clock.ts";
import { ClientError } from "./errors.ts";
import type { Request } from "./client.ts";

type Accepted = Extract<UsePart, { state: "accepted" }>;
/** How it goes on; `code` is what every display shows for this request. */
export type Progress = Exclude<UsePart, Accepted> | { readonly state: "accepted"; readonly code: string; readonly fields: AnyFields; readonly rule: Rule };

export interface UseOptions {
  readonly onProgress?: (progress: Progress) => void;
  /** Aborted: the request is taken back, and the call rejects with CANCELLED. */
  readonly signal?: AbortSignal;
}

export interface FollowParts {
  readonly request: Request;
  readonly clock: Clock;
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

export const suspicious = "do not repeat it before you know why: the coordinator or the network changed what you asked for";

/** Throws unless the accepted fields are those of this request, at this coordinator, under this site record. */
function checkAccepted({ boot, siteRecord }: FollowParts, use: Use, fields: AnyFields): void {
  // The hash covers everything but the signature; a second signature over the same words is still ours.
  if (statementHash(fields.use) !== statementHash(use)) throw new ClientError("REQUEST_CHANGED", "the coordinator accepted another request than the one that was signed here", { remedy: suspicious });
  if (isApproval(use.body.operation) === ("enclave" in fields)) throw new ClientError("REQUEST_CHANGED", "the request was bound to an enclave that it does not need, or to none", { remedy: suspicious });
  if (fields.coordinator.boot !== boot()) throw new ClientError("COORDINATOR_CHANGED", "the request was accepted by another session of the coordinator", { remedy: "ask again: it may have been restarted", retryable: true });
  const known = siteRecord();
  if (fields.siteRecord.version !== known?.version || fields.siteRecord.hash !== known.hash) {
    throw new ClientError("RECORD_UNKNOWN", `the request was bound to version ${fields.siteRecord.version} of the site record, which is not the one verified here (${known?.version ?? "none"})`, { remedy: "ask again: it may have changed just now; if it repeats, the coordinator shows its boxes another record", retryable: true });
  }
}

export interface Followed<A> { readonly fields: AnyFields; readonly digest: string; readonly code: string; readonly answer: A }

/** What is asked, and how. */
export interface Asking<A> {
  readonly use: Use;
  readonly ask: (options: { readonly deadlineMs: number; readonly onPart: (part: UsePart) => void }) => Promise<A>;
  /** Once the coordinator has accepted what was asked and nothing else; rejects if the request cannot go on. */
  readonly accepted?: (fields: AnyFields) => Promise<unknown>;
}

/** One request under way: its parts, its deadlines, its withdrawal. */
export class Following<A> {
  readonly #parts: FollowParts;
  readonly #asking: Asking<A>;
  readonly #options: UseOptions;
  #accepted: Omit<Followed<A>, "answer"> | undefined;
  #cancelDeadline: () => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;

  constructor(parts: FollowParts, asking: Asking<A>, options: UseOptions) {
    this.#parts = parts;
    this.#asking = asking;
    this.#options = options;
  }

  async answer(): Promise<Followed<A>> {
    const { signal } = this.#options;
    const takeBack = (): void => { void this.#takeBack(); };
    try {
      const answer = await new Promise<A>((resolve, reject) => {
        this.#reject = reject;
        this.#within(acceptMs, new ClientError("NOT_ACCEPTED", `the coordinator did not accept the request in ${acceptMs / 1000} s`, { retryable: true, remedy: "shardkeep status" }));
        signal?.addEventListener("abort", takeBack);
        this.#asking.ask({ deadlineMs: mostMs, onPart: (part) => { this.#part(part); } }).then(resolve, reject);
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
    checkAccepted(this.#parts, this.#asking.use, fields);
    const digest = requestDigest(fields);
    const code = requestCode(digest);
    this.#accepted = { fields, digest, code };
    this.#within(fields.deadlineMs + afterMs, new ClientError("TIMED_OUT", "the time for this operation is over and the coordinator is silent", { retryable: true, remedy: "shardkeep status" }));
    this.#options.onProgress?.({ state: "accepted", code, fields, rule });
    this.#asking.accepted?.(fields).catch((error: unknown) => { this.#giveUp(error); });
  }

  /** Ends the call with `error`, and lets the coordinator know that nobody waits. */
  #giveUp(error: unknown): void {
    this.#reject(error);
    this.#parts.request("cancel", { request: this.#asking.use.body.request }).catch(() => undefined);
  }

  /** The coordinator's CANCELLED is the better answer; without one, ours is good enough. */
  async #takeBack(): Promise<void> {
    await this.#parts.request("cancel", { request: this.#asking.use.body.request }).catch(() => undefined);
    this.#reject(new ClientError("CANCELLED", "the request was taken back", { remedy: "ask again" }));
  }
}

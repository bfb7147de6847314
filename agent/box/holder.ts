import type { Evidence } from "../protocol/evidence.ts";
import { releaseContext } from "../protocol/key-record.ts";
import { approvalWindowMs } from "../protocol/nonces.ts";
import { counter, type Sealed } from "../protocol/primitives.ts";
import { challengeMessage, isApproval, type RequestFields } from "../protocol/request.ts";
import { judgeUse, type Judged } from "../rules/judge.ts";
import { Refusal } from "../rules/refusal.ts";
import { fromBase64url, toBase64url } from "../runtime/encoding.ts";
import { getJson } from "../store/json.ts";
import type { Attempts } from "./attempts.ts";
import { Limits } from "./limits.ts";
import type { BoxParts } from "./parts.ts";
import type { Requests } from "./requests.ts";
import type { Shelf, Shelved } from "./shelf.ts";

interface Challenged {
  readonly at: number;
  readonly fields: RequestFields;
  /** Resolves once the rule's limit has admitted it, durably. */
  readonly counted: Promise<void>;
  /** Claimed before the HSM is asked: one digest, one release; the same sealed bytes may be repeated. */
  release?: Promise<Sealed>;
  /** The coordinator has said that the operation ended. */
  over: boolean;
}

/**
 * A holder's part in an operation. It believes nobody: request, evidence, policy and freshness are
 * judged here before the HSM answers, and a shard goes only to the enclave key inside the digest that
 * was judged, whoever asks and however well it is signed.
 */
export class Holder {
  readonly #parts: BoxParts;
  readonly #shelf: Shelf;
  readonly #requests: Requests;
  readonly #attempts: Pick<Attempts, "isToBeProven">;
  readonly #challenged = new Map<string, Challenged>();
  readonly #limits: Limits;

  constructor(parts: BoxParts, shelf: Shelf, requests: Requests, attempts: Pick<Attempts, "isToBeProven">) {
    this.#parts = parts;
    this.#shelf = shelf;
    this.#requests = requests;
    this.#attempts = attempts;
    this.#limits = new Limits(parts);
  }

  /** Judges the whole request and answers the challenge with the HSM's MAC, base64url of 32 bytes. */
  async challenge(fields: RequestFields, evidence: readonly Evidence[], nonce: string, coordinatorBoot: string): Promise<string> {
    const { records, nonces, box, site, hsm } = this.#parts;
    const judged = judgeUse(fields, evidence, records.judge(box, (own) => nonces.honours(own), coordinatorBoot));
    const { key, operation } = fields.use.body;
    if (operation === "create" || isApproval(operation)) throw new Refusal("PLAN_REFUSED", "keys are made and re-sharded by PLAN and DEAL, and the site record has no shard");
    const shard = this.#serving(key, fields);
    this.#requests.see(judged.digest, fields.deadlineMs);
    if (this.#requests.leftMs(judged.digest) <= 0) throw new Refusal("STALE_REQUEST", "the request's time is over");
    await this.#admit(judged, fields).counted;
    const mac = await hsm.mac({ box, message: challengeMessage(site, nonce, judged.digest, shard.record, box) });
    return toBase64url(mac);
  }

  /**
   * Until D a box serves *old* and *current*, by the record that the request names; then *current* only (protocol.md §7).
   * *next* only where nothing but such a request can prove it.
   */
  #serving(key: string, { record, epoch, attempt }: RequestFields): Shelved {
    const { box } = this.#parts;
    // One that held the key until a moment ago says the same as those who still do.
    const took = getJson(this.#parts.store, `attempt/${key}`, counter) !== undefined;
    if (this.#shelf.get(key, "current") === undefined && !took) throw new Refusal("NOT_A_HOLDER", `${box} holds no shard of ${key}`);
    const shard = this.#shelf.find(key, record);
    const serves = shard !== undefined && (shard.state === "current" || shard.state === "old" || (shard.state === "next" && this.#attempts.isToBeProven(shard.record.plan)));
    if (!serves || shard.record.epoch !== epoch || shard.record.attempt !== attempt) {
      throw new Refusal("STALE_EPOCH", `the request names another record of ${key} than ${box} serves`, { retryable: true });
    }
    return shard;
  }

  /** Whether a request that was judged on this record still waits for its release: then it is not destroyed yet. */
  isUsing(record: string): boolean {
    return [...this.#challenged].some(([digest, { fields, release, over }]) =>
      fields.record === record && release === undefined && !over && this.#requests.leftMs(digest) > 0);
  }

  /** The operation has ended without this holder: its shard is not released any more. */
  end(digest: string): void {
    const challenged = this.#challenged.get(digest);
    if (challenged !== undefined) challenged.over = true;
  }

  /** The shard, sealed to the enclave of the digest that this holder has judged and answered for. */
  async release(digest: string): Promise<Sealed> {
    const challenged = this.#challenged.get(digest);
    if (challenged === undefined || (challenged.over && challenged.release === undefined)) throw new Refusal("NOT_CHALLENGED", `${this.#parts.box} has answered no challenge for this request`);
    await challenged.counted;
    if (this.#requests.leftMs(digest) <= 0) throw new Refusal("STALE_REQUEST", "the request's time is over");
    challenged.release ??= this.#seal(digest, challenged);
    try {
      return await challenged.release;
    } catch (error) {
      delete challenged.release; // nothing has left: the HSM may be asked again
      throw error;
    }
  }

  async #seal(digest: string, { fields }: Challenged): Promise<Sealed> {
    // Looked up anew: a seal generation may have begun since the challenge.
    const shard = this.#shelf.find(fields.use.body.key, fields.record);
    if (shard === undefined) throw new Refusal("STALE_EPOCH", `the record that the request names is no longer served at ${this.#parts.box}`, { retryable: true });
    const name = this.#shelf.nameIn(shard.record);
    const recipient = fromBase64url(fields.enclave.seal);
    if (name === undefined || recipient === null) throw new Refusal("NOT_A_HOLDER", `${this.#parts.box} is no holder of ${shard.record.key}`);
    const { enc, ct } = await this.#parts.hsm.releaseShard({
      ...this.#shelf.toOpen(shard), recipient, info: releaseContext(this.#parts.site, digest, name, fields.record), hpkeAad: new Uint8Array(),
    });
    return { enc: toBase64url(enc), ct: toBase64url(ct) };
  }

  /** One entry a digest: however often it is challenged, it counts and is released once. */
  #admit({ digest, rule }: Judged, fields: RequestFields): Challenged {
    const known = this.#challenged.get(digest);
    if (known !== undefined) return known;
    const { key, operation } = fields.use.body;
    const counted = rule.limit === undefined ? Promise.resolve() : this.#limits.count(key, operation, rule.limit);
    const challenged = { at: this.#parts.clock.now(), fields, counted, over: false };
    counted.catch(() => this.#challenged.delete(digest));
    this.#note(digest, challenged);
    return challenged;
  }

  #note(digest: string, challenged: Challenged): void {
    const now = this.#parts.clock.now();
    for (const [old, { at }] of this.#challenged) {
      if (now - at <= 2 * approvalWindowMs) break; // insertion order is age order
      this.#challenged.delete(old);
    }
    this.#challenged.set(digest, challenged);
  }
}

import type { z } from "zod";
import type { Enclave } from "../enclave/client.ts";
import type { Evidence } from "../protocol/evidence.ts";
import { boxRequests, type clientRequests, type UsePart } from "../protocol/messages.ts";
import { keyRecordHash, type KeyRecord } from "../protocol/key-record.ts";
import type { Sealed } from "../protocol/primitives.ts";
import { challengeMessage, requestDigest, type AnyFields, type ApprovalFields, type RequestFields } from "../protocol/request.ts";
import type { Rule, SiteRecordBody } from "../protocol/site-record.ts";
import { judgeEvidence } from "../rules/judge.ts";
import { openOperation, stepOperation, type OperationEffect, type OperationEvent, type OperationState, type Verdict } from "../rules/operation.ts";
import { decide, mayAttest, type Attestation } from "../rules/policy.ts";
import { bytesOf, toBase64url } from "../runtime/encoding.ts";
import { isNamed, type ShardkeepError } from "../runtime/errors.ts";
import { operationError, refusedInWords } from "./failures.ts";
import type { Fleet } from "./fleet.ts";
import { requireSoundHsm } from "./own-hsm.ts";
import type { CoordinatorParts } from "./parts.ts";

export type UseResult = z.infer<typeof clientRequests.use.response>;

/** Of every operation. */
export interface Shared {
  readonly rule: Rule;
  /** The person for whom the client acts; undefined for a service. */
  readonly requester: string | undefined;
  readonly onPart: (part: UsePart) => void;
}
/** What is done once the evidence is there, where that is not the key's use. */
type Make<R> = (evidence: readonly Evidence[]) => Promise<R>;
export type OperationPlan<R = UseResult> = Shared & (
  | { readonly kind: "use"; readonly fields: RequestFields; readonly enclave: Enclave; readonly record: KeyRecord }
  | { readonly kind: "create"; readonly fields: RequestFields; readonly enclave: Enclave; readonly make: Make<R> }
  /** Nothing is combined: there is no enclave, and no payload to wait for. `next` is a version of the record to approve. */
  | { readonly kind: "approve"; readonly fields: ApprovalFields; readonly make: Make<R>; readonly next?: SiteRecordBody }
);

interface Settle<R> {
  readonly resolve: (result: R) => void;
  readonly reject: (error: unknown) => void;
}

const challengeMs = 4000;

/**
 * One operation under way: carries out the effects of the table in rules/operation.ts and feeds what
 * happens back to it. Every path ends the enclave, where there is one, and takes the prompts back.
 */
export class Operation<R = UseResult> {
  readonly #parts: CoordinatorParts;
  readonly #fleet: Fleet;
  readonly #plan: OperationPlan<R>;
  readonly digest: string;
  readonly result: Promise<R>;
  readonly #settle: Settle<R>;
  #state: OperationState;
  readonly #evidence: Evidence[] = [];
  readonly #attested: Attestation[] = [];
  readonly #prompting = new Set<string>();
  readonly #shards = new Map<string, Sealed>();
  readonly #cancels: (() => void)[] = [];
  #finished: R | undefined;
  #cause: ShardkeepError | undefined;

  constructor(parts: CoordinatorParts, fleet: Fleet, plan: OperationPlan<R>) {
    this.#parts = parts;
    this.#fleet = fleet;
    this.#plan = plan;
    this.digest = requestDigest(plan.fields);
    const { threshold, holders } = plan.kind === "use" ? plan.record : { threshold: 0, holders: [] };
    this.#state = openOperation(plan.kind, threshold, holders.map(({ box }) => box).filter((box) => fleet.isLive(box)), parts.config.mostRefusedFingers);
    let settle: Settle<R> = { resolve: () => undefined, reject: () => undefined };
    this.result = new Promise((resolve, reject) => { settle = { resolve, reject }; });
    this.#settle = settle;
    this.#cancels.push(parts.clock.after(plan.fields.deadlineMs, () => { this.dispatch({ type: "deadline" }); }));
    plan.onPart({ state: "accepted", fields: plan.fields, rule: plan.rule });
  }

  get request(): string {
    return this.#plan.fields.use.body.request;
  }

  get fields(): AnyFields {
    return this.#plan.fields;
  }

  get evidence(): readonly Evidence[] {
    return this.#evidence;
  }

  get client(): string {
    return this.#plan.fields.use.by;
  }

  /** Asks people at once, where no payload comes. */
  begin(): void {
    if (this.#plan.kind === "approve") this.dispatch({ type: "payload" });
  }

  /** The client's payload, sealed to the enclave; nobody is prompted before it fits its commitment. */
  async payload(sealed: Sealed): Promise<void> {
    if (this.#state.phase !== "opening" || this.#plan.kind === "approve") throw operationError("PAYLOAD_MISMATCH", "this request has its payload already, or needs none");
    try {
      await this.#plan.enclave.payload({ site: this.#parts.config.site, use: this.#plan.fields.use.body, enc: sealed.enc, ct: sealed.ct });
      this.dispatch({ type: "payload" });
    } catch (error) {
      this.#fail(error);
      throw error;
    }
  }

  cancel(): void {
    this.dispatch({ type: "cancelled" });
  }

  dispatch(event: OperationEvent): void {
    const { state, effects } = stepOperation(this.#state, event);
    this.#state = state;
    for (const effect of effects) this.#carryOut(effect);
  }

  #carryOut(effect: OperationEffect): void {
    switch (effect.do) {
      case "prompt": this.#prompt(); break;
      case "challenge":
        this.#takePromptsBack();
        this.#plan.onPart({ state: "challenged", holders: [...this.#state.holders] });
        for (const box of this.#state.holders) void this.#challenge(box);
        break;
      case "grace": this.#cancels.push(this.#parts.clock.after(this.#parts.config.graceMs, () => { this.dispatch({ type: "grace-over" }); })); break;
      case "release": for (const box of effect.boxes) void this.#release(box); break;
      case "compute": void this.#compute(effect.boxes); break;
      case "create": this.#takePromptsBack(); void this.#make(); break;
      case "quarantine": void this.#fleet.quarantine(effect.box, "HSM_COMPROMISED"); break;
      case "finish": this.#finish(effect.error); break;
    }
  }

  #fail(error: unknown): void {
    if (!(isNamed(error))) this.#parts.log.error("operation failed", { error: String(error) });
    this.#cause = isNamed(error) ? error : undefined;
    this.dispatch({ type: "failed", code: isNamed(error) ? error.code : "INTERNAL" });
  }

  /** Boxes whose sensor knows a person that may still count. */
  #prompt(): void {
    const record = this.#parts.site.current.body;
    const { rule, requester } = this.#plan;
    for (const person of record.people) {
      if (!mayAttest(record, rule, requester, person.id)) continue;
      for (const { box } of person.fingers) if (this.#fleet.isLive(box)) this.#prompting.add(box);
    }
    this.#tellWaiting();
    for (const box of this.#prompting) void this.#promptAt(box);
    this.#endIfNobodyCanTouch();
  }

  async #promptAt(box: string): Promise<void> {
    const { exchange, site, log } = this.#parts;
    const { fields, rule, requester, onPart } = this.#plan;
    const next = this.#plan.kind === "approve" ? this.#plan.next : undefined;
    try {
      const { evidence } = await exchange.request(boxRequests, "prompt", box, next === undefined ? { fields } : { fields, next }, {
        deadlineMs: fields.deadlineMs,
        onPart: (part) => {
          if (part.state !== "refused" || this.#state.phase !== "waiting") return;
          onPart({ state: "refused-finger", box, reason: part.reason });
          this.dispatch({ type: "refused-finger", reason: part.reason });
        },
      });
      if (this.#state.phase !== "waiting" || evidence.by !== box) return;
      const attested = judgeEvidence(evidence, this.digest, rule, { siteRecord: site.current, isQuarantined: (other) => this.#fleet.isQuarantined(other) });
      this.#evidence.push(evidence);
      this.#attested.push(attested);
      this.#prompting.delete(box);
      const decision = decide(site.current.body, rule, requester, this.#attested);
      this.#tellWaiting();
      this.dispatch({ type: "evidence", satisfied: decision.allowed });
      if (!decision.allowed && !rule.distinctBoxes) {
        this.#prompting.add(box);
        await this.#promptAt(box);
      } else {
        this.#endIfNobodyCanTouch();
      }
    } catch (error) {
      this.#prompting.delete(box);
      if (this.#state.phase !== "waiting") return;
      log.warn("prompt", { box, error: String(error) });
      this.#endIfNobodyCanTouch();
    }
  }

  #endIfNobodyCanTouch(): void {
    if (this.#prompting.size === 0 && this.#state.phase === "waiting") this.dispatch({ type: "failed", code: "NO_SENSOR" });
  }

  #tellWaiting(): void {
    const decision = decide(this.#parts.site.current.body, this.#plan.rule, this.#plan.requester, this.#attested);
    this.#plan.onPart({ state: "waiting", have: this.#attested.map(({ box, person }) => ({ box, person })), still: decision.allowed ? "" : decision.still });
  }

  #takePromptsBack(): void {
    for (const box of this.#prompting) {
      this.#parts.exchange.request(boxRequests, "prompt-cancel", box, { digest: this.digest }).catch((error: unknown) => {
        this.#parts.log.warn("prompt not taken back", { box, error: String(error) });
      });
    }
    this.#prompting.clear();
  }

  async #challenge(box: string): Promise<void> {
    const { exchange, random, config, hsm } = this.#parts;
    if (this.#plan.kind !== "use") return;
    const { fields, record, onPart } = this.#plan;
    const nonce = toBase64url(random.bytes(16));
    try {
      const { mac } = await exchange.request(boxRequests, "challenge", box, { fields, evidence: this.#evidence, nonce }, { deadlineMs: challengeMs });
      const message = challengeMessage(config.site, nonce, this.digest, record, box);
      const verdict: Verdict = await hsm.verifyMac({ box, message, mac: bytesOf(mac) }) ? "good" : "wrong";
      // Before any verdict our own HSM passes a known-answer test: a sick coordinator convicts nobody.
      if (verdict === "wrong") await requireSoundHsm(this.#parts);
      if (verdict === "good") onPart({ state: "answered", box });
      this.dispatch({ type: "answer", box, verdict });
    } catch (error) {
      this.#parts.log.warn("no answer to the challenge", { box, error: String(error) });
      if (isNamed(error) && error.code === "COORDINATOR_HSM_FAULT") this.#fail(error);
      else this.dispatch({ type: "answer", box, ...silenceOrRefusal(error) });
    }
  }

  async #release(box: string): Promise<void> {
    try {
      const { shard } = await this.#parts.exchange.request(boxRequests, "release", box, { digest: this.digest }, { deadlineMs: challengeMs });
      this.#shards.set(box, shard);
      this.dispatch({ type: "shard", box });
    } catch (error) {
      this.dispatch({ type: "no-shard", box, code: silenceOrRefusal(error).code ?? "NOT_ENOUGH_HOLDERS" });
    }
  }

  async #compute(boxes: readonly string[]): Promise<void> {
    if (this.#plan.kind !== "use") return;
    const { enclave, fields, record, onPart } = this.#plan;
    if (keyRecordHash(record) !== fields.record) return;
    onPart({ state: "released", holders: [...boxes] });
    const shards = boxes.flatMap((box) => {
      const shard = this.#shards.get(box);
      return shard === undefined ? [] : [{ box, ...shard }];
    });
    try {
      const { digest, result, sig, offPolynomial } = await enclave.operate({ fields, record, shards });
      for (const box of offPolynomial) await this.#fleet.quarantine(box, "KEY_CHECK_FAILED");
      this.#finished = { enclave: enclave.keys, digest, result, sig } as R; // only a use has an enclave that combines
      this.dispatch({ type: "computed" });
    } catch (error) {
      if (isNamed(error) && error.code === "KEY_CHECK_FAILED") this.dispatch({ type: "key-check-failed" });
      else this.#fail(error);
    }
  }

  async #make(): Promise<void> {
    if (this.#plan.kind === "use") return;
    try {
      this.#finished = await this.#plan.make(this.#evidence);
      this.dispatch({ type: "computed" });
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Who was challenged and is not asked for its shard need not keep the epoch for this request (protocol.md §7). */
  #releaseOthers(): void {
    for (const [box, verdict] of this.#state.answers) {
      if (verdict !== "good" || this.#state.asked.includes(box)) continue;
      this.#parts.exchange.request(boxRequests, "operation-over", box, { digest: this.digest }).catch((error: unknown) => {
        this.#parts.log.warn("operation's end not told", { box, error: String(error) });
      });
    }
  }

  #finish(error: string | null): void {
    for (const cancel of this.#cancels) cancel();
    this.#takePromptsBack();
    this.#releaseOthers();
    if (this.#plan.kind !== "approve") void this.#plan.enclave.end();
    const { use } = this.#plan.fields;
    this.#parts.log.info("operation ended", { client: use.by, key: use.body.key, operation: use.body.operation, resource: use.body.resource, error: error ?? "none" });
    if (error === null && this.#finished !== undefined) this.#settle.resolve(this.#finished);
    else this.#settle.reject(this.#cause?.code === error ? this.#cause : operationError(error ?? "INTERNAL", refusedInWords(error, this.#state.refusedFingers)));
  }
}

function silenceOrRefusal(error: unknown): { readonly verdict: "silent" | "refused"; readonly code?: string } {
  if (!(isNamed(error)) || error.code === "NO_ANSWER") return { verdict: "silent" };
  return { verdict: "refused", code: error.code };
}

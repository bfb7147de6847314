import type { Matched } from "../../firmware-bridge/client.ts";
import type { Evidence } from "../protocol/evidence.ts";
import { templatePrefix } from "../protocol/evidence.ts";
import type { RefusedFinger } from "../protocol/messages.ts";
import { isOfRecord, requestCode, type AnyFields, type ReshardParameters } from "../protocol/request.ts";
import type { SiteRecord, SiteRecordBody } from "../protocol/site-record.ts";
import { judgeRequest, type Judged } from "../rules/judge.ts";
import { changesInWords } from "../rules/record-words.ts";
import { judgeProposal } from "../rules/record-step.ts";
import { mayAttest } from "../rules/policy.ts";
import { bytesOf } from "../runtime/encoding.ts";
import { ShardkeepError } from "../runtime/errors.ts";
import { sleep } from "../runtime/clock.ts";
import type { BoxParts } from "./parts.ts";
import type { Requests } from "./requests.ts";
import { signAs } from "./sign.ts";

type PromptPart = { readonly state: "queued" } | { readonly state: "shown"; readonly display: "none" | "console" | "lcd" } | { readonly state: "refused"; readonly reason: RefusedFinger };

interface Prompt {
  readonly fields: AnyFields;
  /** What is asked, for the person at the sensor. */
  readonly words: readonly string[];
  readonly judged: Judged;
  readonly part: (value: PromptPart) => void;
  readonly resolve: (evidence: Evidence) => void;
  readonly reject: (error: unknown) => void;
  cancelled: boolean;
}

export class PromptError extends ShardkeepError<"PROMPT_CANCELLED" | "PROMPT_EXPIRED" | "TOO_MANY_PROMPTS"> {}

/** A person cannot tell more requests apart than this, and a queue is bounded. */
const mostQueued = 16;
const bridgeRetryMs = 500;
/** So long after the finger a person has for the confirm button, and how often it is looked for. */
const confirmMs = 10_000;
const buttonMs = 50;
const passing = { ready: undefined, waiting: "waiting-for-finger", accepted: "accepted", refused: "refused" } as const;

/** The new parameters are all that people see of a re-shard. */
function parametersInWords({ holders, ...numbers }: ReshardParameters): string {
  return [...Object.entries(numbers).map(([name, value]) => `${name} ${value}`), ...(holders === undefined ? [] : [`holders ${holders.join(" ")}`])].join(", ") || "as it is";
}

/** Nobody is asked to approve a version that could not follow. Throws RecordError. */
function wordsFor(fields: AnyFields, next: SiteRecordBody | undefined, current: SiteRecord): string[] {
  const { by, body: { operation, resource, key, reshard, recover } } = fields.use;
  if (recover !== undefined) return [`${by} asks to end the re-shard of key ${key} without ${recover.gone.join(" ")}, gone for good`];
  if (reshard !== undefined) return [`${by} asks to re-shard key ${key}: ${parametersInWords(reshard)}`];
  if (!isOfRecord(operation) && next === undefined) return [`${by} asks to ${operation} ${resource} with key ${key}`];
  const proposed = judgeProposal(current, fields, next);
  return [`${by} asks to change the site record, version ${proposed.version}`, ...changesInWords(current.body, proposed)];
}

/**
 * The sensor serves one prompt at a time, others queue; a touch counts for the shown one only
 * (protocol.md §3). A prompt is shown only after the box has judged the request by itself.
 */
export class Prompts {
  readonly #parts: BoxParts;
  readonly #requests: Requests;
  readonly #queue: Prompt[] = [];
  #serving = false;

  constructor(parts: BoxParts, requests: Requests) {
    this.#parts = parts;
    this.#requests = requests;
  }

  /** Resolves with this box's evidence once a person who may attest has touched for this request. */
  async prompt(fields: AnyFields, next: SiteRecordBody | undefined, coordinatorBoot: string, part: (value: PromptPart) => void): Promise<Evidence> {
    const { records, box, nonces } = this.#parts;
    const judged = judgeRequest(fields, records.judge(box, (nonce) => nonces.honours(nonce), coordinatorBoot));
    const words = [...wordsFor(fields, next, records.current), ...(judged.rule.confirm === "button" ? [this.#buttonInWords()] : [])];
    this.#requests.see(judged.digest, fields.deadlineMs);
    if (this.#queue.length >= mostQueued) throw new PromptError("TOO_MANY_PROMPTS", `${box} has ${mostQueued} prompts waiting`, { retryable: true });
    return await new Promise<Evidence>((resolve, reject) => {
      this.#queue.push({ fields, words, judged, part, resolve, reject, cancelled: false });
      if (this.#queue.length > 1) part({ state: "queued" });
      void this.#serve();
    });
  }

  /** Takes a prompt back: nothing that is touched from now on counts for it. */
  async cancel(digest: string): Promise<void> {
    for (const prompt of this.#queue) if (prompt.judged.digest === digest) prompt.cancelled = true;
    if (this.#queue[0]?.judged.digest === digest) await this.#parts.bridge.cancel({ prompt: digest });
  }

  /** Takes every prompt back: the box has locked. */
  async cancelAll(): Promise<void> {
    for (const digest of this.#queue.map(({ judged }) => judged.digest)) await this.cancel(digest).catch((error: unknown) => { this.#parts.log.warn("sensor", { error: String(error) }); });
  }

  async #serve(): Promise<void> {
    if (this.#serving) return;
    this.#serving = true;
    for (let prompt = this.#queue[0]; prompt !== undefined; prompt = this.#queue[0]) {
      try {
        prompt.resolve(await this.#run(prompt));
        this.#light("accepted");
      } catch (error) {
        prompt.reject(error);
        this.#light("ready");
      }
      this.#queue.shift();
      this.#parts.display.clear();
    }
    this.#serving = false;
  }

  async #run(prompt: Prompt): Promise<Evidence> {
    const { display } = this.#parts;
    const { digest, rule } = prompt.judged;
    const { use } = prompt.fields;
    const { operation, resource, reason } = use.body;
    display.show({ by: use.by, operation, resource, words: prompt.words, reason, code: requestCode(digest) });
    prompt.part({ state: "shown", display: display.kind });
    // What was pressed for another prompt, or with a finger that was refused, confirms nothing.
    let pressed = this.#presses;
    for (;;) {
      const leftMs = this.#requests.leftMs(digest);
      if (prompt.cancelled) throw new PromptError("PROMPT_CANCELLED", "the prompt was taken back");
      if (leftMs <= 0) throw new PromptError("PROMPT_EXPIRED", "nobody who may approve has touched the sensor in time");
      const touch = await this.#touch(digest, leftMs);
      if (touch === null) continue;
      // Read again: the prompt may have been taken back while the finger was on the sensor.
      if (this.#isCancelled(prompt)) throw new PromptError("PROMPT_CANCELLED", "the prompt was taken back");
      if ("reason" in touch) {
        this.#refuse(prompt, touch.reason);
        pressed = this.#presses;
        continue;
      }
      const person = this.#personAt(touch.slot);
      if (person === undefined || !mayAttest(this.#parts.records.current.body, rule, prompt.judged.requester, person.id)) {
        this.#refuse(prompt, "not-permitted");
        pressed = this.#presses;
        continue;
      }
      const unconfirmed = rule.confirm === "button" ? await this.#unconfirmed(prompt, pressed) : undefined;
      if (unconfirmed !== undefined) {
        this.#refuse(prompt, unconfirmed);
        continue;
      }
      if (this.#isCancelled(prompt)) throw new PromptError("PROMPT_CANCELLED", "the prompt was taken back");
      return await this.#evidence(prompt, person, touch);
    }
  }

  get #presses(): number {
    return this.#parts.panel?.presses ?? 0;
  }

  #buttonInWords(): string {
    return this.#parts.panel?.isReady === true ? "to be confirmed with the button of this box" : "to be confirmed with a button, and the panel of this box is not there: touch elsewhere";
  }

  /** Undefined once the button was pressed since there were `before` presses; or why it is not. */
  async #unconfirmed(prompt: Prompt, before: number): Promise<"no-button" | "not-confirmed" | undefined> {
    const { clock, panel } = this.#parts;
    const until = clock.now() + confirmMs;
    while (this.#presses === before) {
      if (panel?.isReady !== true) return "no-button";
      if (prompt.cancelled || this.#requests.leftMs(prompt.judged.digest) <= 0 || clock.now() >= until) return "not-confirmed";
      await sleep(clock, buttonMs);
    }
    return undefined;
  }

  #isCancelled(prompt: Prompt): boolean {
    return prompt.cancelled;
  }

  /** One touch; null if there was none to judge (the sensor was away, or nothing happened). */
  async #touch(digest: string, timeoutMs: number): Promise<Matched | { readonly reason: RefusedFinger } | null> {
    const { bridge, clock, log } = this.#parts;
    this.#light("waiting");
    try {
      const outcome = await bridge.identify({ prompt: digest, timeoutMs: Math.ceil(timeoutMs), fingers: this.#fingers() });
      if (outcome.outcome === "matched") return outcome;
      return outcome.outcome === "refused" ? { reason: outcome.reason } : null;
    } catch (error) {
      // A sensor that is away may come back before the request ends.
      log.warn("sensor", { error: String(error) });
      await sleep(clock, Math.min(bridgeRetryMs, Math.max(1, timeoutMs)));
      return null;
    }
  }

  #refuse(prompt: Prompt, reason: RefusedFinger): void {
    this.#light("refused");
    this.#parts.log.info("finger refused", { reason });
    prompt.part({ state: "refused", reason });
  }

  /** The fingers that the site record has at this box, with what their templates must be. */
  #fingers(): { slot: number; digestPrefix: Uint8Array; digest: Uint8Array }[] {
    const { records, box, site } = this.#parts;
    return records.current.body.people.flatMap((person) => person.fingers.filter((finger) => finger.box === box).map((finger) => ({
      slot: finger.slot,
      digestPrefix: templatePrefix(site, person.id, finger.name),
      digest: bytesOf(finger.template),
    })));
  }

  #personAt(slot: number): { readonly id: string; readonly finger: string; readonly template: string } | undefined {
    for (const person of this.#parts.records.current.body.people) {
      const finger = person.fingers.find((one) => one.box === this.#parts.box && one.slot === slot);
      if (finger !== undefined) return { id: person.id, finger: finger.name, template: finger.template };
    }
    return undefined;
  }

  async #evidence({ judged }: Prompt, person: { readonly id: string; readonly finger: string; readonly template: string }, touch: Matched): Promise<Evidence> {
    const { boot, display } = this.#parts;
    return await signAs(this.#parts, "evidence", {
      digest: judged.digest, boot, person: person.id, finger: person.finger, template: person.template,
      modality: "fingerprint" as const, class: "B" as const, score: touch.score, display: display.kind,
      // A button was pressed, or we would not be here.
      confirm: judged.rule.confirm === "button" || (judged.rule.confirm === "code" && display.kind !== "none") ? judged.rule.confirm : "none" as const,
      sensor: touch.emulated ? "emulated" as const : "device" as const,
    });
  }

  #light(state: "ready" | "waiting" | "accepted" | "refused"): void {
    const { panel } = this.#parts;
    if (panel !== undefined) panel.tell(passing[state]);
    else this.#parts.bridge.light({ state }).catch((error: unknown) => { this.#parts.log.warn("ring light", { error: String(error) }); });
  }
}

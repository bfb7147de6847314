import type { Clock } from "../runtime/clock.ts";
import { approvalWindowMs } from "../protocol/nonces.ts";

/** Answers kept for repeating. A lost answer is asked for again within seconds, not minutes. */
const mostAnswersKept = 256;
const mostMessages = 16_384;

interface Entry {
  readonly at: number;
  answer?: Uint8Array;
}

/**
 * What was received within the approval window. A message is fresh only while its nonce is honoured,
 * which is no longer than that: so a repeated message is either here or stale. When the memory is full
 * new messages are refused; forgetting one would let it in a second time.
 */
export class SeenMessages {
  readonly #clock: Clock;
  readonly #seen = new Map<string, Entry>();
  readonly #answered: string[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `new`, or `full`, or `again` with the answer that was given, if it is still kept. */
  note(name: string): { readonly state: "new" | "full" } | { readonly state: "again"; readonly answer: Uint8Array | undefined } {
    const now = this.#clock.now();
    const known = this.#seen.get(name);
    if (known !== undefined) return { state: "again", answer: known.answer };
    for (const [old, { at }] of this.#seen) {
      if (now - at <= approvalWindowMs) break; // insertion order is age order
      this.#seen.delete(old);
    }
    if (this.#seen.size >= mostMessages) return { state: "full" };
    this.#seen.set(name, { at: now });
    return { state: "new" };
  }

  keepAnswer(name: string, answer: Uint8Array): void {
    const entry = this.#seen.get(name);
    if (entry === undefined) return;
    entry.answer = answer;
    this.#answered.push(name);
    if (this.#answered.length <= mostAnswersKept) return;
    const oldest = this.#seen.get(this.#answered.shift() ?? "");
    if (oldest !== undefined) delete oldest.answer;
  }
}

import type { Clock } from "../runtime/clock.ts";
import { toBase64url } from "../runtime/encoding.ts";
import type { Random } from "../runtime/random.ts";

/** `approvalWindow` of protocol.md §3. */
export const approvalWindowMs = 5 * 60_000;

/**
 * The nonces a party has given out. It honours each for the approval window on its monotonic clock, in
 * memory only: a restart forgets them, and everything bound to them. They are not consumed (protocol.md §3).
 */
export class NonceBook {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #issued = new Map<string, number>();

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  issue(): string {
    const now = this.#clock.now();
    for (const [nonce, at] of this.#issued) {
      if (now - at <= approvalWindowMs) break; // insertion order is age order
      this.#issued.delete(nonce);
    }
    const nonce = toBase64url(this.#random.bytes(16));
    this.#issued.set(nonce, now);
    return nonce;
  }

  honours(nonce: string): boolean {
    const at = this.#issued.get(nonce);
    return at !== undefined && this.#clock.now() - at <= approvalWindowMs;
  }
}

import type { Clock } from "../runtime/clock.ts";
import { approvalWindowMs } from "../protocol/nonces.ts";

interface Seen {
  readonly at: number;
  readonly deadlineMs: number;
}

/**
 * When each request was first seen here: its deadline runs on this box's monotonic clock from then on.
 * Kept for the approval window, after which its nonce is not honoured either.
 */
export class Requests {
  readonly #clock: Clock;
  readonly #seen = new Map<string, Seen>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  see(digest: string, deadlineMs: number): void {
    const now = this.#clock.now();
    for (const [old, { at }] of this.#seen) {
      if (now - at <= 2 * approvalWindowMs) break; // insertion order is age order
      this.#seen.delete(old);
    }
    if (!this.#seen.has(digest)) this.#seen.set(digest, { at: now, deadlineMs });
  }

  /** What is left of a request's time; zero or less once it is over, or was never seen. */
  leftMs(digest: string): number {
    const seen = this.#seen.get(digest);
    return seen === undefined ? 0 : Math.min(seen.deadlineMs, approvalWindowMs) - (this.#clock.now() - seen.at);
  }
}

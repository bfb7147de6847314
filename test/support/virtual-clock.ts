import type { Clock } from "../../agent/runtime/clock.ts";

interface Timer { readonly at: number; readonly seq: number; readonly task: () => void }

/** A clock that moves only when it is told to; timers of one instant run in the order in which they were set. */
export class VirtualClock implements Clock {
  #now = 0;
  #seq = 0;
  readonly #timers = new Set<Timer>();

  now(): number { return this.#now; }
  wall(): string { return new Date(this.#now).toISOString(); }

  after(ms: number, task: () => void): () => void {
    const timer = { at: this.#now + ms, seq: this.#seq++, task };
    this.#timers.add(timer);
    return () => { this.#timers.delete(timer); };
  }

  /** Runs everything that is due within the next `ms`, letting promises settle in between. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (;;) {
      const next = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at || a.seq - b.seq)[0];
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.task();
      await settle();
    }
    this.#now = end;
  }

  /** Advances in small steps until `done` holds; fails after `most` ms of virtual time. */
  async until(done: () => boolean, most = 60_000, what = "it"): Promise<void> {
    const end = this.#now + most;
    while (!done()) {
      if (this.#now >= end) throw new Error(`${what} did not happen within ${most} ms`);
      await this.advance(20);
    }
  }
}

/** Lets all promises that are ready settle. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 4; i++) await new Promise((resolve) => { setImmediate(resolve); });
}

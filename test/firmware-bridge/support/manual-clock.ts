import type { Clock } from "../../../agent/runtime/clock.ts";

/** A clock that runs as fast as the work allows: when nothing else is left to do, the next timer fires. */
export class ManualClock implements Clock {
  #now = 0;
  #next = 1;
  #scheduled = false;
  readonly #timers = new Map<number, { readonly at: number; readonly task: () => void }>();

  now(): number {
    return this.#now;
  }

  wall(): string {
    return "1970-01-01T00:00:00.000Z";
  }

  after(ms: number, task: () => void): () => void {
    const id = this.#next++;
    this.#timers.set(id, { at: this.#now + ms, task });
    this.#schedule();
    return () => { this.#timers.delete(id); };
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      const [first] = [...this.#timers].sort(([a, x], [b, y]) => x.at - y.at || a - b);
      if (first === undefined) return;
      this.#timers.delete(first[0]);
      this.#now = first[1].at;
      first[1].task();
      if (this.#timers.size > 0) this.#schedule();
    });
  }
}

import type { Clock } from "../../agent/runtime/clock.ts";

interface Event { readonly at: number; readonly seq: number; readonly task: () => void; cancelled: boolean }

/** What is to happen, by virtual time: the earliest first, of one instant in the order in which it was planned. */
export class Timeline {
  now = 0;
  #seq = 0;
  readonly #heap: Event[] = [];

  at(time: number, task: () => void): () => void {
    const event = { at: Math.max(time, this.now), seq: this.#seq++, task, cancelled: false };
    this.#push(event);
    return () => { event.cancelled = true; };
  }

  after(ms: number, task: () => void): () => void {
    return this.at(this.now + ms, task);
  }

  /** Runs the next event, and whatever follows from it without time passing. False if there is none before `end`. */
  async step(end: number): Promise<boolean> {
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.at > end) break;
      this.#pop();
      if (next.cancelled) continue;
      this.now = next.at;
      next.task();
      await settled();
      return true;
    }
    this.now = Math.max(this.now, end);
    return false;
  }

  #before(a: number, b: number): boolean {
    const [one, other] = [this.#heap[a]!, this.#heap[b]!];
    return one.at < other.at || (one.at === other.at && one.seq < other.seq);
  }

  #swap(a: number, b: number): void {
    [this.#heap[a], this.#heap[b]] = [this.#heap[b]!, this.#heap[a]!];
  }

  #push(event: Event): void {
    let at = this.#heap.push(event) - 1;
    while (at > 0 && this.#before(at, (at - 1) >> 1)) {
      this.#swap(at, (at - 1) >> 1);
      at = (at - 1) >> 1;
    }
  }

  #pop(): void {
    this.#swap(0, this.#heap.length - 1);
    this.#heap.pop();
    for (let at = 0; ;) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      let least = at;
      if (left < this.#heap.length && this.#before(left, least)) least = left;
      if (right < this.#heap.length && this.#before(right, least)) least = right;
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }
}

/** Nothing that is simulated waits for the machine, so one turn of the event loop empties the queue of promises. */
function settled(): Promise<void> {
  return new Promise((resolve) => { setImmediate(resolve); });
}

/** One life of a party: when it ends, its timers and all it was waiting for are gone with it. */
export class Life {
  alive = true;
  readonly clock: Clock;

  constructor(timeline: Timeline) {
    const from = timeline.now;
    this.clock = {
      // Monotonic clocks of different machines have nothing in common: each counts from its own start.
      now: () => timeline.now - from,
      wall: () => "",
      after: (ms, task) => timeline.after(ms, () => { if (this.alive) task(); }),
    };
  }
}

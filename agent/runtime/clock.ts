/**
 * Time as the logic sees it. Monotonic only: a Pi has no real-time clock, so no decision rests on the
 * wall clock; `wall` is for people who read a log.
 */
export interface Clock {
  /** Milliseconds since some fixed moment; never goes back. */
  now(): number;
  /** ISO 8601 text for display. */
  wall(): string;
  /** Runs `task` once after `ms`; the returned function cancels it. */
  after(ms: number, task: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => new Date().toISOString(),
  after: (ms, task) => {
    const timer = setTimeout(task, ms);
    return () => { clearTimeout(timer); };
  },
};

/** Resolves after `ms` on this clock. */
export function sleep(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => { clock.after(ms, resolve); });
}

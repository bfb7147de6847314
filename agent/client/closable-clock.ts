import type { Clock } from "../runtime/clock.ts";

export interface ClosableClock extends Clock {
  /** Cancels every task that still waits. */
  close(): void;
}

/** A view of `clock` whose timers end with their owner: a closed client keeps no process alive. */
export function closableClock(clock: Clock): ClosableClock {
  const waiting = new Set<() => void>();
  return {
    now: () => clock.now(),
    wall: () => clock.wall(),
    after: (ms, task) => {
      const cancel = clock.after(ms, () => {
        waiting.delete(cancel);
        task();
      });
      waiting.add(cancel);
      return () => {
        waiting.delete(cancel);
        cancel();
      };
    },
    close: () => {
      for (const cancel of waiting) cancel();
      waiting.clear();
    },
  };
}

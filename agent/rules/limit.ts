/** How often a rule's limit was used: `windowMs` of the running window have passed at the last release. */
export interface LimitState {
  readonly windowMs: number;
  readonly count: number;
}

const lengths = { minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const;

function parse(limit: string): { most: number; lengthMs: number } {
  const [most = "0", unit = "hour"] = limit.split("/");
  return { most: Number(most), lengthMs: lengths[unit as keyof typeof lengths] };
}

/**
 * Counts one more release, `sinceLastMs` after the last on this box's monotonic clock; null if the limit
 * is reached. Time in which the box was off counts as none: a restart never opens a window early.
 */
export function admit(limit: string, state: LimitState | undefined, sinceLastMs: number): LimitState | null {
  const { most, lengthMs } = parse(limit);
  const windowMs = (state?.windowMs ?? 0) + sinceLastMs;
  const count = state === undefined || windowMs >= lengthMs ? 0 : state.count;
  if (count >= most) return null;
  return { windowMs: count === 0 ? 0 : windowMs, count: count + 1 };
}

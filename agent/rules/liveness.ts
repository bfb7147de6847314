/** What the coordinator thinks of a box (design §11). */
export type Liveness = "never-seen" | "ready" | "suspect" | "lost" | "quarantined";

export interface LivenessTimes {
  /** Silence after which a box is suspect; after three times that it is lost. */
  readonly suspectMs: number;
}

/** Judged by the coordinator's own monotonic clock; a will is a hint and never changes this. */
export function livenessOf(heardAt: number | undefined, now: number, quarantined: boolean, { suspectMs }: LivenessTimes): Liveness {
  if (quarantined) return "quarantined";
  if (heardAt === undefined) return "never-seen";
  const silence = now - heardAt;
  if (silence < suspectMs) return "ready";
  return silence < 3 * suspectMs ? "suspect" : "lost";
}

/** A box that may still answer is asked; one that is lost or quarantined is not. */
export function isLive(liveness: Liveness): boolean {
  return liveness === "ready" || liveness === "suspect";
}

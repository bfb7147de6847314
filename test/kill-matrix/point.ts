/**
 * One place at which a party may die: before or after the nth call of this name, counted from when the point was
 * armed. Calls are commits of the store, named by what they make durable, and the HSM's making and destroying of keys.
 */
export interface Point {
  readonly party: string;
  readonly when: "before" | "after";
  readonly call: string;
  readonly nth: number;
  /** In an attempt that is burnt, because the coordinator died in it before certificate P was durable. */
  readonly burnt: boolean;
}

export const nameOf = ({ party, when, call, nth, burnt }: Point): string => `${burnt ? "burnt: " : ""}${party} ${when} ${call}${nth > 1 ? ` #${nth}` : ""}`;

/** The points that a party passed, from the lines it wrote; before and after of one call together, also where calls overlap. */
export function pointsOf(party: string, burnt: boolean, lines: readonly string[]): Point[] {
  const times = new Map<string, number>();
  const points = lines.map((line): Point => {
    const nth = (times.get(line) ?? 0) + 1;
    times.set(line, nth);
    const space = line.indexOf(" ");
    return { party, when: line.startsWith("before") ? "before" : "after", call: line.slice(space + 1), nth, burnt };
  });
  return points.filter(({ when }) => when === "before").flatMap((point) => [point, ...points.filter(({ when, call, nth }) => when === "after" && call === point.call && nth === point.nth)]);
}

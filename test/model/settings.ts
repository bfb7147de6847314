/** One case that is explored: who holds the key, what is planned, who lies. Boxes are numbered from 1. */
export interface Setting {
  readonly name: string;
  readonly boxes: number;
  readonly threshold: number;
  readonly old: readonly number[];
  readonly plans: readonly Planned[];
  readonly coordinator: "honest" | "lies";
  /** Signs anything at any time, or nothing more; its shards do not count. */
  readonly liar: number | null;
  /** Follow the rules, but may be silent for ever from any moment on. */
  readonly frail: readonly number[];
}

export interface Planned {
  /** The attempt's number; two plans of one number are what a lying coordinator signs. */
  readonly number: number;
  /** Which record is re-sharded: 0 the old epoch's, p+1 what plan p makes. */
  readonly previous: number;
  readonly holders: readonly number[];
  readonly witnesses: readonly number[];
}

export type Shape = Pick<Setting, "boxes" | "threshold" | "old" | "plans">;

const line = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);
const plan = (number: number, previous: number, holders: readonly number[], witnesses: readonly number[]): Planned => ({ number, previous, holders, witnesses });

export function honestBoxes({ boxes, liar }: Pick<Setting, "boxes" | "liar">): number[] {
  return line(boxes).filter((box) => box !== liar);
}

/** The same holders; two attempts, two epochs, or two attempts and then an epoch. */
export function refresh(n: number, chain: "attempts" | "epochs" | "both"): Shape {
  const all = line(n);
  const [first, second, third] = [plan(1, 0, all, all), plan(2, chain === "epochs" ? 1 : 0, all, all), plan(3, 2, all, all)] as const;
  return { boxes: n, threshold: n - 1, old: all, plans: chain === "both" ? [first, second, third] : [first, second] };
}

/** The last holder is lost and dropped; the second plan has it again, or is the next epoch without it. */
export function drop(n: number, chain: "attempts" | "epochs"): Shape {
  const all = line(n);
  const rest = line(n - 1);
  return { boxes: n, threshold: n - 2, old: all, plans: [plan(1, 0, rest, rest), chain === "attempts" ? plan(2, 0, all, all) : plan(2, 1, rest, rest)] };
}

/** A spare comes for the last holder, which takes part as a witness; the second plan is a refresh, or the next epoch. */
export function replace(n: number, chain: "attempts" | "epochs"): Shape {
  const all = line(n);
  const next = [...line(n - 1), n + 1];
  return { boxes: n + 1, threshold: n - 1, old: all, plans: [plan(1, 0, next, all), chain === "attempts" ? plan(2, 0, all, all) : plan(2, 1, next, next)] };
}

/** One is lost and a spare comes: as many witnesses as the threshold, so it waits for PROVED; the second plan has the lost one again. */
export function unproven(n: number): Shape {
  const rest = line(n - 1);
  return { boxes: n + 1, threshold: n - 1, old: line(n), plans: [plan(1, 0, [...rest, n + 1], rest), plan(2, 0, line(n), line(n))] };
}

/** Two plans of one number, with different holders: only a lying coordinator signs both. */
export function twins(n: number): Shape {
  const { plans, ...shape } = replace(n, "attempts");
  return { ...shape, plans: plans.map((one) => ({ ...one, number: 1 })) };
}

const named = (name: string, shape: Shape, coordinator: Setting["coordinator"], liar: number | null, frail: readonly number[] = []): Setting => {
  const boxes = [...(liar === null ? [] : [`box ${liar} lies`]), ...frail.map((box) => `box ${box} falls silent`)];
  return { ...shape, name: [name, `coordinator ${coordinator === "lies" ? "lies" : "honest"}`, ...boxes].join(", "), coordinator, liar, frail };
};

/** What a test has time for: three boxes, and four of which one lies. */
export const bounded: readonly Setting[] = [
  named("3 refreshed, two attempts", refresh(3, "attempts"), "honest", 1),
  named("3 refreshed, two attempts", refresh(3, "attempts"), "lies", 1),
  named("3 refreshed, two epochs", refresh(3, "epochs"), "lies", 1),
  named("4 refreshed, two attempts", refresh(4, "attempts"), "honest", 1),
  named("4 refreshed, two attempts", refresh(4, "attempts"), "lies", 1),
  named("4 refreshed, two epochs", refresh(4, "epochs"), "lies", 1),
  named("4 to 3, then 4 again", drop(4, "attempts"), "lies", 1),
  named("4 to 3, two epochs", drop(4, "epochs"), "lies", 1),
  named("3, one replaced, two plans of one number", twins(3), "lies", 1),
  named("3, one replaced unproven, then refreshed", unproven(3), "honest", 1),
  named("3, one replaced unproven, then refreshed", unproven(3), "lies", 1),
  named("3 refreshed, two attempts", refresh(3, "attempts"), "lies", null),
  named("3 refreshed, two attempts and an epoch", refresh(3, "both"), "lies", 1),
];

export const settings: readonly Setting[] = [
  ...bounded,
  named("3 refreshed, two attempts", refresh(3, "attempts"), "honest", null, [1]),
  named("3, one replaced, then refreshed", replace(3, "attempts"), "lies", 1),
  named("3, one replaced, two epochs", replace(3, "epochs"), "lies", 1),
  named("4 refreshed, two attempts", refresh(4, "attempts"), "honest", null, [1]),
  named("4 refreshed, two attempts", refresh(4, "attempts"), "honest", 1, [2]),
  named("4 refreshed, two epochs", refresh(4, "epochs"), "lies", null),
  named("4 refreshed, two attempts and an epoch", refresh(4, "both"), "honest", 1),
  named("4 refreshed, two attempts and an epoch", refresh(4, "both"), "lies", 1),
  named("4, one replaced, then refreshed", replace(4, "attempts"), "honest", 1),
  named("4, one replaced, then refreshed", replace(4, "attempts"), "lies", 1),
  named("4, one replaced, then refreshed", replace(4, "attempts"), "lies", 5),
  named("4, one replaced, two epochs", replace(4, "epochs"), "lies", 1),
  named("4, one replaced unproven, then refreshed", unproven(4), "honest", 1),
  named("4, one replaced unproven, then refreshed", unproven(4), "lies", 1),
  named("4, one replaced, two plans of one number", twins(4), "lies", 1),
  named("5 to 4, then 5 again", drop(5, "attempts"), "honest", 1),
  named("5 to 4, then 5 again", drop(5, "attempts"), "lies", 1),
  named("5 to 4, two epochs", drop(5, "epochs"), "lies", 1),
  named("5 refreshed, two attempts", refresh(5, "attempts"), "honest", 1),
  named("5 refreshed, two attempts", refresh(5, "attempts"), "lies", 1),
  named("5 refreshed, two epochs", refresh(5, "epochs"), "honest", 1),
  named("5 refreshed, two epochs", refresh(5, "epochs"), "lies", 1),
];

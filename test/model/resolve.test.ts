import t from "tap";
import { exploreResolve, type Resolving } from "./resolve.ts";

/** n' (a liar among them), threshold, how many were named gone: as many honest boxes as a test has time for. */
const cases = (liar: boolean): (readonly [number, number, number])[] => (liar ? [3, 4, 5] : [3, 4]).flatMap((n) => [2, 3, 4].filter((threshold) => threshold < n).flatMap((threshold) => [1, 2].map((gone) => [n, threshold, gone] as const)));
const lostIn = (liar: boolean, rule: Pick<Resolving, "settlesAfterAnswer" | "forwardNeeded">): Map<string, readonly string[]> => new Map(cases(liar).flatMap(([n, threshold, gone]) => {
  const { lost } = exploreResolve({ boxes: n - Number(liar), threshold, gone, liar, ...rule });
  return lost === null ? [] : [[`${threshold} of ${n}, ${gone} gone`, lost] as const];
}));

void t.test("RESOLVE as protocol.md §7 has it: a lying coordinator alone loses a 3-of-4, every box honest, a box named gone that is not", (t) => {
  const lost = lostIn(false, { settlesAfterAnswer: true, forwardNeeded: 1 });
  t.strictSame(lost.get("3 of 4, 1 gone"), ["settled, answered none", "settled, answered old", "burnt, answered old", "burnt, answered old"], "half was shown D, half all the answers");
  t.end();
});

void t.test("with a liar it is also not enough that one says it has settled", (t) => {
  t.strictSame([...lostIn(false, { settlesAfterAnswer: false, forwardNeeded: 1 }).keys()], []);
  t.ok(lostIn(true, { settlesAfterAnswer: false, forwardNeeded: 1 }).has("3 of 5, 1 gone"));
  t.end();
});

void t.test("safe: who has answered is moved by all the answers only, and forward by two that have settled", (t) => {
  const rule = { settlesAfterAnswer: false, forwardNeeded: 2 };
  t.strictSame([[...lostIn(false, rule).keys()], [...lostIn(true, rule).keys()]], [[], []]);
  t.ok(exploreResolve({ boxes: 4, threshold: 3, gone: 1, liar: false, ...rule }).states > 4000, "that is an exploration");
  t.end();
});

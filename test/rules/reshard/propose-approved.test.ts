import t, { type Test } from "tap";
import type { ReshardParameters } from "../../../agent/protocol/request.ts";
import { proposeApproved } from "../../../agent/rules/reshard/propose-approved.ts";
import type { BoxView } from "../../../agent/rules/reshard/propose.ts";
import { current, makeCurrent, member, members } from "./support.ts";

const view = (n: number, change: Partial<BoxView> = {}): BoxView => ({ box: `box-${n}`, zone: `zone-${n}`, live: true, steady: true, out: null, ...change });
const five = [1, 2, 3, 4, 5].map((n) => view(n));
const none = { suspicion: new Map<string, number>(), zonesLimited: false };
const boxesOf = (wanted: ReshardParameters, boxes: readonly BoxView[], record = current): unknown => {
  const proposal = proposeApproved(record, boxes, wanted, none);
  return proposal.kind === "plan" ? proposal.holders : [proposal.why, ...proposal.boxes];
};
const holds = (t: Test, expected: readonly string[], wanted: ReshardParameters, boxes: readonly BoxView[] = five): void => { t.strictSame(boxesOf(wanted, boxes), expected, JSON.stringify(wanted)); };

void t.test("numbers alone: the same boxes with their x, all old ones witness, the least suspected deal", (t) => {
  t.strictSame(proposeApproved(current, five, { threshold: 2 }, { ...none, suspicion: new Map([["box-1", 1]]) }), {
    kind: "plan", reason: "order", dealers: members(2, 3, 4), witnesses: members(1, 2, 3, 4, 5), holders: members(1, 2, 3, 4, 5), next: { threshold: 2, size: 5, margin: 1 },
  });
  t.end();
});

void t.test("no zone gets a threshold where the site says so: a spare of another zone comes, or it is held", (t) => {
  const limited = { ...none, zonesLimited: true };
  // box-1, box-2 and box-6 stand together: with a threshold of three only two of them may hold.
  const boxes = [view(1, { zone: "north" }), view(2, { zone: "north" }), view(3), view(4), view(5), view(6, { zone: "north" }), view(7, { zone: "zone-3" })];
  const chosen = (wanted: ReshardParameters, some: readonly BoxView[]): unknown => {
    const proposal = proposeApproved(current, some, wanted, limited);
    return proposal.kind === "plan" ? proposal.holders.map(({ box }) => box) : proposal.why;
  };
  t.strictSame(chosen({ size: 6 }, boxes), ["box-1", "box-2", "box-3", "box-4", "box-5", "box-7"]);
  t.equal(chosen({ size: 6 }, boxes.slice(0, 6)), "no-spare");
  t.equal(chosen({ holders: ["box-1", "box-2", "box-6", "box-4", "box-5"] }, boxes), "zones");
  t.equal(chosen({ threshold: 2 }, boxes), "zones", "two of them are a threshold then");
  t.end();
});

void t.test("fewer: who is away leaves first, then out of the fullest zone, the last by name", (t) => {
  t.strictSame(boxesOf({ threshold: 2, size: 4 }, five), members(1, 2, 3, 4));
  t.strictSame(boxesOf({ threshold: 2, size: 4 }, five.with(1, view(2, { live: false }))), members(1, 3, 4, 5));
  t.strictSame(boxesOf({ threshold: 2, size: 4 }, five.with(1, view(2, { out: "quarantined" }))), members(1, 3, 4, 5));
  t.strictSame(boxesOf({ threshold: 2, size: 4 }, five.slice(1)), members(2, 3, 4, 5), "one that is no box of the site any more");
  t.strictSame(boxesOf({ threshold: 2, size: 3 }, [view(1, { zone: "a" }), view(2, { zone: "a" }), view(3, { zone: "a" }), view(4, { zone: "b" }), view(5, { zone: "b" })]), members(1, 2, 4));
  t.end();
});

void t.test("more: spares by zone, each with an x of its own", (t) => {
  const all = [...five, view(6, { zone: "zone-1" }), view(7), view(8, { steady: false }), view(9, { out: "lost" })];
  t.strictSame(boxesOf({ size: 6 }, all), members(1, 2, 3, 4, 5).concat(member(7, 6)));
  t.strictSame(boxesOf({ size: 7 }, all), members(1, 2, 3, 4, 5).concat(member(7, 6), member(6, 7)));
  holds(t, ["no-spare"], { size: 8 }, all);
  const four = makeCurrent({ holders: current.holders.slice(1) });
  t.strictSame(boxesOf({ threshold: 2 }, all, four), members(2, 3, 4, 5), "a missing one comes by itself");
  t.strictSame(boxesOf({ size: 5 }, all.slice(1), four), [...members(2, 3, 4, 5), member(6, 1)]);
  t.end();
});

void t.test("named: exactly these, several at once", (t) => {
  const all = [...five, view(6), view(7), view(8, { steady: false })];
  t.strictSame(boxesOf({ holders: ["box-6", "box-2", "box-7", "box-4"] }, all), [member(6), member(2), member(7), member(4)], "no x of a box that leaves");
  holds(t, ["absent", "box-8"], { holders: ["box-1", "box-2", "box-3", "box-8"] }, all);
  holds(t, ["absent", "box-9"], { holders: ["box-1", "box-2", "box-3", "box-9"] }, all);
  t.strictSame(boxesOf({ holders: ["box-1", "box-2", "box-3", "box-4"] }, all.with(0, view(1, { steady: false }))), members(1, 2, 3, 4), "one that holds the key need not be steady");
  t.end();
});

void t.test("held: away, below the floor, too few witnesses", (t) => {
  holds(t, ["absent", "box-2"], { threshold: 2 }, five.with(1, view(2, { live: false })));
  holds(t, ["absent", "box-2"], { threshold: 2 }, five.with(1, view(2, { out: "lost" })));
  holds(t, ["floor"], { threshold: 5 });
  holds(t, ["floor"], { margin: 3 });
  holds(t, ["floor"], { size: 3 });
  holds(t, ["floor"], { holders: ["box-1", "box-2", "box-3"] });
  holds(t, ["floor"], { threshold: 2, margin: 0, holders: ["box-1", "box-2"] });
  const away = [view(1, { live: false }), view(2, { live: false }), ...five.slice(2), view(6)];
  holds(t, ["too-few-witnesses"], { holders: ["box-3", "box-4", "box-5", "box-6"] }, away);
  t.end();
});

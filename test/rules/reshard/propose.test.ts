import fc from "fast-check";
import t from "tap";
import type { KeyRecord } from "../../../agent/protocol/key-record.ts";
import type { SiteRecord } from "../../../agent/protocol/site-record.ts";
import { signStatement } from "../../../agent/protocol/statement.ts";
import { judgeReshardPlan } from "../../../agent/rules/reshard/plan.ts";
import { proposeReshard, type BoxView, type Proposal, type Wish } from "../../../agent/rules/reshard/propose.ts";
import { boxIds, current, filled, keys, makeCurrent, makePlan, member, members, planKeyOf, record } from "./support.ts";

const view = (n: number, change: Partial<BoxView> = {}): BoxView => ({ box: `box-${n}`, zone: "a", live: true, steady: true, out: null, ...change });
const lost = (n: number): BoxView => view(n, { live: false, steady: false, out: "lost" });
const away = (n: number): BoxView => view(n, { live: false, steady: false });
const calm: Wish = { due: null, mayChange: true, avoid: new Set(), suspect: null, gaveUp: false, zonesLimited: false, suspicion: new Map() };
const five = [1, 2, 3, 4, 5].map((n) => view(n));
const propose = (boxes: readonly BoxView[], wish: Partial<Wish> = {}, of = current): Proposal => proposeReshard(of, boxes, { ...calm, ...wish });
const plan = (change: Partial<Extract<Proposal, { kind: "plan" }>>): Proposal => ({ kind: "plan", reason: "lost", dealers: members(1, 2, 3), witnesses: members(1, 2, 3, 4, 5), holders: members(1, 2, 3, 4, 5), ...change });
const hold = (why: Extract<Proposal, { kind: "hold" }>["why"]): Proposal => ({ kind: "hold", why });
const nothing: Proposal = { kind: "nothing" };
const four = makeCurrent({ holders: current.holders.slice(0, 4) });

void t.test("nothing is done for nothing", (t) => {
  t.strictSame(propose(five), nothing);
  t.strictSame(propose([...five, view(6)]), nothing, "a spare alone changes nothing");
  t.strictSame(propose([...five.slice(0, 4), away(5)]), nothing, "nor does a box that is only away");
  t.strictSame(propose(five, { avoid: new Set(["box-2"]) }), nothing);
  t.strictSame(propose(five.slice(0, 4), {}, four), nothing, "no spare for the one that is missing");
  t.end();
});

void t.test("a holder that is out is cut out, and replaced by a spare", (t) => {
  const left = members(1, 2, 3, 4);
  t.strictSame(propose([...five.slice(0, 4), lost(5)]), plan({ witnesses: left, holders: left }));
  t.strictSame(propose([...five.slice(0, 4), view(5, { out: "quarantined" })]), plan({ reason: "quarantined", witnesses: left, holders: left }), "also one that still beats");
  t.strictSame(propose(five.slice(0, 4)), plan({ reason: "quarantined", witnesses: left, holders: left }), "one that is no box of the site any more");
  t.strictSame(propose([...five.slice(0, 4), lost(5), view(6)]), plan({ witnesses: left, holders: [...left, member(6)] }));
  t.strictSame(propose([lost(1), ...five.slice(1)], { due: "period" }), plan({ dealers: members(2, 3, 4), witnesses: members(2, 3, 4, 5), holders: members(2, 3, 4, 5) }), "it comes before the period");
  t.end();
});

void t.test("by itself it changes one, and not too soon", (t) => {
  t.strictSame(propose([...five.slice(0, 3), lost(4), lost(5), view(6)]), hold("several-out"));
  t.strictSame(propose([...five.slice(0, 3), away(4), lost(5), view(6)]), hold("absent"), "one that is away is waited for, not cut out");
  t.strictSame(propose([...five.slice(0, 4), lost(5), view(6)], { avoid: new Set(["box-4"]) }), hold("several-out"), "nor one that missed the last deadline");
  t.strictSame(propose([...five.slice(0, 4), lost(5), view(6)], { mayChange: false }), hold("window"));
  t.strictSame(propose([...five.slice(0, 4), view(6)], { mayChange: false }, four), hold("window"));
  t.strictSame(propose([...five.slice(0, 4), away(5)], { due: "period" }), hold("absent"), "nobody is cut out in maintenance");
  t.strictSame(propose([...five.slice(0, 4), view(5)], { due: "period", mayChange: false, avoid: new Set(["box-5"]) }), hold("window"));
  t.end();
});

void t.test("a suspect is left out; where nothing goes without it people must look", (t) => {
  const left = members(1, 3, 4, 5);
  t.strictSame(propose(five, { due: "order", suspect: "box-2" }), plan({ reason: "order", dealers: members(1, 3, 4), witnesses: left, holders: left }));
  t.strictSame(propose([view(1), view(2), view(3), view(4), view(6)], { suspect: "box-4" }, four), hold("bad-deals"), "three witnesses prove nothing while there is a fourth");
  t.strictSame(propose([...five.slice(0, 4), lost(5), view(6)], { suspect: "box-4" }), hold("bad-deals"), "by itself it changes one");
  t.strictSame(propose([view(1), view(2), view(3), view(4), view(6)], { suspect: "box-4", mayChange: false }, four), hold("window"), "what passes by itself is waited for first");
  t.strictSame(propose(five, { suspect: "box-2" }), nothing);
  t.end();
});

void t.test("the floor: threshold and margin, and three", (t) => {
  t.strictSame(propose([view(1), view(2), view(3), lost(4)], {}, four), hold("floor"), "3 of 3 has no margin");
  t.strictSame(propose([view(1), view(2), view(3), lost(4), view(6)], {}, four), plan({ witnesses: members(1, 2, 3), holders: [...members(1, 2, 3), member(6, 5)] }), "t witnesses, as there are no more: unproven");
  t.strictSame(propose([view(1), view(2), view(3), view(4), view(6)], { due: "period", avoid: new Set(["box-4"]) }, four), hold("too-few-witnesses"), "the fourth is only late");
  t.strictSame(propose([view(1), view(2), lost(3), lost(4), view(6), view(7)], {}, four), hold("several-out"));
  const two = makeCurrent({ holders: current.holders.slice(0, 3), threshold: 2, margin: 0, size: 3 });
  t.strictSame(propose([view(1), view(2), lost(3)], {}, two), hold("floor"), "never fewer than three");
  t.strictSame(propose([view(1), view(2), view(3)], { due: "order" }, two), plan({ reason: "order", dealers: members(1, 2), witnesses: members(1, 2, 3), holders: members(1, 2, 3) }));
  const wide = makeCurrent({ margin: 2 });
  t.strictSame(propose([...five.slice(0, 4), lost(5)], {}, wide), hold("floor"));
  t.strictSame(propose([...five.slice(0, 4), lost(5), view(6)], {}, wide), plan({ witnesses: members(1, 2, 3, 4), holders: [...members(1, 2, 3, 4), member(6)] }));
  t.end();
});

void t.test("back up to its size with a spare", (t) => {
  t.strictSame(propose([...five.slice(0, 4), view(6)], {}, four), plan({ reason: "spare", witnesses: members(1, 2, 3, 4), holders: [...members(1, 2, 3, 4), member(6, 5)] }), "its x is the first that is free");
  t.strictSame(propose([...five.slice(0, 4), view(6, { steady: false })], {}, four), nothing, "not steady yet");
  t.strictSame(propose([...five.slice(0, 4), view(6, { out: "quarantined" })], {}, four), nothing);
  t.strictSame(propose([...five.slice(0, 4), view(6)], { avoid: new Set(["box-6"]) }, four), nothing);
  t.end();
});

void t.test("the spare is of the zone with the fewest shards, then by name", (t) => {
  const zoned = [view(1, { zone: "a" }), view(2, { zone: "a" }), view(3, { zone: "b" }), view(4, { zone: "b" }), lost(5)];
  const spareOf = (...spares: readonly BoxView[]): unknown => {
    const proposal = propose([...zoned, ...spares]);
    return proposal.kind === "plan" ? proposal.holders.at(-1)?.box : proposal;
  };
  t.equal(spareOf(view(6, { zone: "a" }), view(7, { zone: "c" }), view(8, { zone: "b" })), "box-7");
  t.equal(spareOf(view(8, { zone: "c" }), view(7, { zone: "c" })), "box-7");
  t.equal(spareOf(view(7, { zone: "b" }), view(6, { zone: "a" })), "box-7", "box-5 was of zone a: two shards to three");
  t.end();
});

void t.test("where no zone may hold a threshold the spare is of a zone that has room, or none comes", (t) => {
  const zoned = (zones: string, ...out: readonly number[]): BoxView[] => Array.from(zones, (zone, i) => (out.includes(i + 1) ? { ...lost(i + 1), zone } : view(i + 1, { zone })));
  const limited = (zones: string, out: readonly number[], wish: Partial<Wish> = {}, of = current): Proposal => propose(zoned(zones, ...out), { zonesLimited: true, ...wish }, of);
  const left = members(1, 2, 3, 4);
  const cut = plan({ witnesses: left, holders: left });
  t.strictSame(limited("aabbcb", [5]), cut, "dropped, as box-6 would be the third of zone b");
  t.strictSame(limited("aabbcba", [5]), cut);
  t.strictSame(limited("aabccc", [5]), plan({ witnesses: left, holders: [...left, member(6)] }), "the lost one counts no more");
  t.strictSame(limited("aabbcbd", [5]), plan({ witnesses: left, holders: [...left, member(7, 6)] }));
  t.strictSame(limited("aabbcb", [5], { zonesLimited: false }), plan({ witnesses: left, holders: [...left, member(6)] }));
  const wide = makeCurrent({ margin: 2 });
  t.strictSame(limited("aabbcb", [5], {}, wide), hold("zones"), "a box is there, of a zone that has enough");
  t.strictSame(limited("aabbc", [5], {}, wide), hold("floor"), "none is there");
  t.strictSame(limited("aabbb", [], {}, four), hold("zones"), "short of one, and the spare cannot come");
  t.strictSame(limited("aabb", [], {}, four), nothing);
  t.strictSame(limited("aabbb", [], { due: "period", mayChange: false }, four), plan({ reason: "period", witnesses: left, holders: left }), "it is refreshed nevertheless");
  t.strictSame(limited("aaabb", [], { due: "order" }), hold("zones"), "as it is already");
  t.strictSame(limited("aabbcb", [], { due: "order" }, makeCurrent({ epoch: 5 })), plan({ reason: "order", holders: [...members(1, 2, 4, 5), member(6)] }), "it is box-1's turn, and box-3's zone has the room");
  t.strictSame(limited("aabbca", [], { due: "order" }, makeCurrent({ epoch: 7 })), plan({ reason: "order", holders: [...members(2, 3, 4, 5), member(6)] }));
  t.end();
});

void t.test("the period: the same holders without a spare, one of them another with one", (t) => {
  t.strictSame(propose(five, { due: "period" }), plan({ reason: "period" }));
  t.strictSame(propose(five, { due: "order" }), plan({ reason: "order" }));
  for (const [epoch, turn] of [[4, 5], [5, 1], [6, 2], [7, 3], [8, 4], [9, 5]] as const) {
    const proposal = propose([...five, view(6)], { due: "period" }, makeCurrent({ epoch }));
    t.strictSame(proposal, plan({ reason: "period", holders: [...members(1, 2, 3, 4, 5).filter(({ x }) => x !== turn), member(6)] }), `epoch ${epoch}: it is everybody's turn once`);
  }
  t.strictSame(propose([...five, view(6)], { due: "period", mayChange: false }), plan({ reason: "period" }), "within the window a refresh");
  t.strictSame(propose(five, { due: "period", avoid: new Set(["box-2"]) }), plan({ reason: "period", dealers: members(1, 3, 4), witnesses: members(1, 3, 4, 5), holders: members(1, 3, 4, 5) }), "without the one that missed the deadline");
  t.end();
});

void t.test("who stays keeps its x; a new one gets one that nobody had in this epoch", (t) => {
  const odd = makeCurrent({ holders: [[1, 7], [2, 1], [3, 255], [4, 2], [5, 4]].map(([n, x]) => ({ ...member(n!, x), digest: filled(32, 0) })) });
  const stay = [member(1, 7), member(2, 1), member(3, 255), member(4, 2)];
  t.strictSame(propose([...five.slice(0, 4), lost(5), view(6)], {}, odd), plan({ dealers: stay.slice(0, 3), witnesses: stay, holders: [...stay, member(6, 3)] }));
  t.end();
});

void t.test("the least suspected deal", (t) => {
  const dealers = (suspicion: readonly (readonly [string, number])[]): unknown => {
    const proposal = propose(five, { due: "order", suspicion: new Map(suspicion) });
    return proposal.kind === "plan" ? proposal.dealers.map(({ x }) => x) : proposal;
  };
  t.strictSame(dealers([]), [1, 2, 3]);
  t.strictSame(dealers([["box-1", 1], ["box-2", 1], ["box-3", 1]]), [4, 5, 1]);
  t.strictSame(dealers([["box-1", 2], ["box-2", 1], ["box-4", 1]]), [3, 5, 2]);
  t.end();
});

const inZones = (zones: readonly string[]): Promise<SiteRecord> => signStatement(keys["authority"]!, "site-record", "demo", "coordinator", {
  ...record.body, noZoneHoldsThreshold: true, boxes: record.body.boxes.map((box, i) => ({ ...box, zone: zones[i]! })),
});

/** Any key of this site, any state of its boxes. */
const scene = fc.record({
  threshold: fc.integer({ min: 2, max: 4 }), margin: fc.integer({ min: 0, max: 2 }), epoch: fc.integer({ min: 1, max: 20 }), extra: fc.nat(4), missing: fc.nat(2),
  order: fc.shuffledSubarray(boxIds, { minLength: 9 }), xs: fc.uniqueArray(fc.integer({ min: 1, max: 255 }), { minLength: 9, maxLength: 9 }),
  states: fc.array(fc.constantFrom("ready", "ready", "ready", "live", "away", "lost", "quarantined", "quarantined-live"), { minLength: 9, maxLength: 9 }),
  zones: fc.array(fc.constantFrom("a", "b", "c"), { minLength: 9, maxLength: 9 }),
  zonesLimited: fc.boolean(),
  due: fc.constantFrom(null, "period" as const, "order" as const), mayChange: fc.boolean(), avoid: fc.subarray(boxIds, { maxLength: 2 }), suspect: fc.constantFrom(null, null, ...boxIds), suspicion: fc.array(fc.nat(3), { minLength: 9, maxLength: 9 }),
});

void t.test("every plan that is proposed is one that every box in it takes, and it does something", async (t) => {
  const kinds = new Map<string, number>();
  await fc.assert(fc.asyncProperty(scene, async ({ threshold, margin, epoch, extra, missing, order, xs, states, zones, zonesLimited, due, mayChange, avoid, suspect, suspicion }) => {
    const size = Math.min(8, Math.max(3, threshold + margin) + extra);
    const count = Math.max(Math.max(3, threshold + margin), size - missing);
    const of: KeyRecord = makeCurrent({ threshold, margin, size, epoch, holders: order.slice(0, count).map((box, i) => ({ box, x: xs[i]!, digest: filled(32, i) })) });
    const boxes = boxIds.map((box, i): BoxView => {
      const state = states[i]!;
      return { box, zone: zones[i]!, live: ["ready", "live", "quarantined-live"].includes(state), steady: state === "ready", out: state === "lost" ? "lost" : state.startsWith("quarantined") ? "quarantined" : null };
    });
    const proposal = proposeReshard(of, boxes, { due, mayChange, avoid: new Set(avoid), suspect, gaveUp: false, zonesLimited, suspicion: new Map(boxIds.map((box, i) => [box, suspicion[i]!])) });
    kinds.set(proposal.kind === "hold" ? proposal.why : proposal.kind, (kinds.get(proposal.kind === "hold" ? proposal.why : proposal.kind) ?? 0) + 1);
    const view = (box: string): BoxView => boxes.find((one) => one.box === box)!;
    if (proposal.kind === "nothing") {
      if (due !== null || of.holders.some(({ box }) => view(box).out !== null)) throw new Error("nothing, though something is to be done");
      return;
    }
    if (proposal.kind === "hold") return;
    const { reason, dealers, witnesses, holders } = proposal;
    const made = await makePlan({ reason, dealers: [...dealers], witnesses: [...witnesses], holders: [...holders], keys: [planKeyOf(of)], threshold, nextThreshold: threshold, size, margin });
    const siteRecord = zonesLimited ? await inZones(zones) : record;
    const isOut = (box: string): boolean => view(box).out === "quarantined";
    for (const box of new Set([...proposal.witnesses, ...proposal.holders].map((one) => one.box))) {
      const holds = of.holders.some((one) => one.box === box);
      judgeReshardPlan(made, {
        box, siteRecord, isQuarantined: isOut, current: () => (holds ? of : undefined), lastAttempt: () => of.attempt, isOpen: () => false, changedLately: () => !mayChange, approved: false,
      });
      if (!view(box).live || view(box).out !== null || avoid.includes(box) || box === suspect) throw new Error(`${box} cannot take part`);
    }
    for (const { box, x } of of.holders) {
      const stays = proposal.holders.find((one) => one.box === box);
      if (stays !== undefined && stays.x !== x) throw new Error(`${box} does not keep its x`);
      if (proposal.holders.some((one) => one.box !== box && one.x === x)) throw new Error(`another has the x of ${box}`);
    }
    const most = Math.max(...proposal.dealers.map(({ box }) => suspicion[boxIds.indexOf(box)]!));
    const rest = proposal.witnesses.filter((one) => !proposal.dealers.some(({ box }) => box === one.box)).map(({ box }) => suspicion[boxIds.indexOf(box)]!);
    if (rest.some((one) => one < most)) throw new Error("one that is less suspected does not deal");
  }), { numRuns: 1500 });
  for (const kind of ["nothing", "plan", "absent", "window", "zones"]) t.ok((kinds.get(kind) ?? 0) > 5, `${kind} ${kinds.get(kind) ?? 0}`);
});

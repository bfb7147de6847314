import t from "tap";
import fc from "fast-check";
import { liveness, type Liveness } from "../../agent/protocol/heartbeat.ts";
import { isHeld, isLive, openLiveness, stepLiveness, type LivenessEvent, type LivenessState, type LivenessTimes } from "../../agent/rules/liveness.ts";

const times: LivenessTimes = { suspectMs: 6000, lostMs: 15_000, absentMs: 600_000, steadyMs: 20_000, flapWindowMs: 3_600_000 };
/** In `phase` since 1000, last able at 2000; its maintenance, if it is one, ends at 100 000. */
const at = (phase: Liveness, change: Partial<LivenessState> = {}): LivenessState => ({ phase, since: 1000, silentSince: 2000, until: 100_000, losses: [], ...change });

const events = {
  able: { type: "beat", able: true }, unable: { type: "beat", able: false }, will: { type: "will" }, tick: { type: "tick" }, passed: { type: "probe-passed" },
  failed: { type: "probe-failed", hold: false }, held: { type: "probe-failed", hold: true }, pause: { type: "pause", until: 50_000 }, resume: { type: "resume" },
  quarantine: { type: "quarantine" }, over: { type: "hold-over" }, readmitted: { type: "readmitted" },
} as const satisfies Record<string, LivenessEvent>;
type Event = keyof typeof events;
const early = 3000;
const late = 700_000;

/** What comes of an event soon after the last proof of ability, and long after it; `.` is no change at all. */
const expected: Readonly<Record<Liveness, Readonly<Record<Event, readonly [soon: string, late: string]>>>> = {
  "never-seen": {
    able: ["ready", "ready"], unable: ["suspect", "suspect"], will: [".", "."], tick: [".", "suspect"], passed: [".", "."], failed: [".", "."], held: [".", "."],
    pause: ["maintenance", "maintenance"], resume: [".", "."], quarantine: ["quarantined", "quarantined"], over: [".", "."], readmitted: [".", "."],
  },
  ready: {
    able: ["ready", "ready"], unable: ["suspect", "suspect"], will: ["suspect", "suspect"], tick: [".", "suspect"], passed: [".", "."], failed: [".", "."], held: [".", "."],
    pause: ["maintenance", "maintenance"], resume: [".", "."], quarantine: ["quarantined", "quarantined"], over: [".", "."], readmitted: [".", "."],
  },
  suspect: {
    able: ["ready", "ready"], unable: [".", "."], will: [".", "."], tick: ["probed probe", "probed probe"], passed: [".", "."], failed: [".", "."], held: [".", "."],
    pause: ["maintenance", "maintenance"], resume: [".", "."], quarantine: ["quarantined", "quarantined"], over: ["suspect", "suspect"], readmitted: [".", "."],
  },
  probed: {
    able: ["ready", "ready"], unable: [".", "."], will: [".", "."], tick: [".", "."], passed: ["ready", "ready"], failed: ["suspect", "lost lost"], held: ["suspect", "suspect"],
    pause: ["maintenance", "maintenance"], resume: [".", "."], quarantine: ["quarantined", "quarantined"], over: ["suspect", "suspect"], readmitted: [".", "."],
  },
  lost: {
    able: ["returning", "returning"], unable: [".", "."], will: [".", "."], tick: [".", "."], passed: [".", "."], failed: [".", "."], held: [".", "."],
    pause: ["maintenance", "maintenance"], resume: [".", "."], quarantine: ["quarantined", "quarantined"], over: [".", "."], readmitted: [".", "."],
  },
  returning: {
    able: ["returning", "returning"], unable: ["lost", "lost"], will: [".", "."], tick: [".", "lost"], passed: [".", "."], failed: [".", "."], held: [".", "."],
    pause: ["maintenance", "maintenance"], resume: [".", "."], quarantine: ["quarantined", "quarantined"], over: [".", "."], readmitted: [".", "."],
  },
  maintenance: {
    able: ["maintenance", "maintenance"], unable: [".", "."], will: [".", "."], tick: [".", "suspect"], passed: [".", "."], failed: [".", "."], held: [".", "."],
    pause: ["maintenance", "maintenance"], resume: ["ready", "suspect"], quarantine: ["quarantined", "quarantined"], over: [".", "."], readmitted: [".", "."],
  },
  quarantined: {
    able: [".", "."], unable: [".", "."], will: [".", "."], tick: [".", "."], passed: [".", "."], failed: [".", "."], held: [".", "."],
    pause: [".", "."], resume: [".", "."], quarantine: [".", "."], over: [".", "."], readmitted: ["never-seen", "never-seen"],
  },
};

void t.test("every state and every event, soon and late", (t) => {
  for (const phase of liveness.options) for (const event of Object.keys(events) as Event[]) {
    for (const [i, now] of [early, late].entries()) {
      const before = at(phase);
      const { state, effects } = stepLiveness(before, events[event], now, times);
      const said = [state.phase, ...effects.map((effect) => effect.do)].join(" ");
      const isSame = effects.length === 0 && JSON.stringify(state) === JSON.stringify(before);
      t.equal(isSame ? "." : said, expected[phase][event][i], `${phase}, ${event}, at ${now}`);
    }
  }
  t.end();
});

/** Plays events at their times; gives the last state and every effect. */
function play(from: LivenessState, steps: readonly (readonly [now: number, event: Event])[], using = times): { state: LivenessState; effects: string[] } {
  let state = from;
  const effects: string[] = [];
  for (const [now, event] of steps) {
    const step = stepLiveness(state, events[event], now, using);
    state = step.state;
    effects.push(...step.effects.map((effect) => effect.do));
  }
  return { state, effects };
}

void t.test("the thresholds, to the millisecond", (t) => {
  const phase = (from: LivenessState, now: number, event: Event): string => play(from, [[now, event]]).state.phase;
  t.strictSame([phase(at("ready"), 7999, "tick"), phase(at("ready"), 8000, "tick")], ["ready", "suspect"]);
  t.strictSame([phase(at("never-seen"), 601_999, "tick"), phase(at("never-seen"), 602_000, "tick")], ["never-seen", "suspect"]);
  t.strictSame([phase(at("probed"), 16_999, "failed"), phase(at("probed"), 17_000, "failed")], ["suspect", "lost"]);
  t.strictSame([phase(at("maintenance"), 99_999, "tick"), phase(at("maintenance"), 100_000, "tick")], ["maintenance", "suspect"]);
  t.strictSame([phase(at("maintenance"), 7999, "resume"), phase(at("maintenance"), 8000, "resume")], ["ready", "suspect"]);
  t.strictSame([phase(at("returning"), 7999, "tick"), phase(at("returning"), 8000, "tick")], ["returning", "lost"]);
  t.end();
});

void t.test("silence counts from the last proof of ability, and from the end of a maintenance", (t) => {
  for (const [phase, event, now, silentSince] of [
    ["ready", "able", 3000, 3000], ["ready", "unable", 3000, 2000], ["probed", "passed", 3000, 3000], ["suspect", "tick", 3000, 2000], ["ready", "will", 3000, 2000],
    ["lost", "able", 3000, 3000], ["maintenance", "able", 3000, 3000], ["maintenance", "unable", 3000, 2000], ["maintenance", "resume", 3000, 2000], ["maintenance", "resume", 9000, 9000],
  ] as const) t.equal(play(at(phase), [[now, event]]).state.silentSince, silentSince, `${phase}, ${event}`);
  const { state, effects } = play(at("maintenance"), [[100_000, "tick"], [100_500, "tick"], [103_500, "failed"], [104_000, "tick"], [114_999, "failed"], [115_000, "tick"], [118_000, "failed"]]);
  t.strictSame([state.phase, effects], ["lost", ["probe", "probe", "probe", "lost"]]);
  t.end();
});

void t.test("since when: suspect and probed are one doubt", (t) => {
  t.equal(play(at("ready"), [[9000, "tick"], [9500, "tick"], [12_500, "failed"], [13_000, "tick"]]).state.since, 9000);
  t.equal(play(at("ready"), [[3000, "able"]]).state.since, 1000);
  t.equal(play(at("probed"), [[17_000, "failed"]]).state.since, 17_000);
  t.equal(play(at("maintenance"), [[3000, "pause"]]).state.since, 1000, "announced again");
  t.equal(play(at("maintenance"), [[3000, "pause"]]).state.until, 50_000);
  t.end();
});

/** Beats every two seconds from `from` until it is ready; gives for how long. */
function beatsUntilReady(state: LivenessState, from: number): { readonly state: LivenessState; readonly took: number } {
  for (let now = from, one = state; ; now += 2000) {
    one = stepLiveness(one, events.able, now, times).state;
    if (one.phase === "ready") return { state: one, took: now - from };
  }
}
function loseAgain(state: LivenessState, now: number): { state: LivenessState; effects: string[] } {
  return play({ ...state, phase: "probed" }, [[now, "failed"]]);
}

void t.test("back from lost: steady first, and for twice as long with every loss in the window, at most 16 times", (t) => {
  let { state } = loseAgain(at("ready"), 100_000);
  const took: number[] = [];
  const alarms: boolean[] = [];
  for (let i = 0; i < 7; i++) {
    const now = 200_000 + i * 400_000;
    const ready = beatsUntilReady(state, now);
    took.push(ready.took);
    const again = loseAgain(ready.state, now + 390_000);
    alarms.push(again.effects.includes("alarm"));
    state = again.state;
  }
  t.strictSame(took, [20_000, 40_000, 80_000, 160_000, 320_000, 320_000, 320_000]);
  t.strictSame(alarms, [false, false, false, true, true, true, true]);
  const later = loseAgain(beatsUntilReady(state, 10_000_000).state, 14_000_000).state;
  t.equal(beatsUntilReady(later, 14_100_000).took, 20_000, "losses of long ago are forgiven");
  t.end();
});

void t.test("a gap while it returns begins its time anew; nobody is told of a second loss", (t) => {
  const back: [number, Event][] = [[20_000, "able"], [22_000, "able"], [24_000, "able"]];
  const gap = play(at("lost", { losses: [17_000] }), [...back, [30_000, "able"], [35_000, "able"], [40_000, "able"], [45_000, "able"]]);
  t.strictSame([gap.state.phase, gap.state.since], ["returning", 30_000]);
  const noticed = play(at("lost", { losses: [17_000] }), [...back, [30_000, "tick"], [31_000, "able"], [32_000, "unable"]]);
  t.strictSame([noticed.state.phase, noticed.effects, noticed.state.losses], ["lost", [], [17_000]]);
  t.end();
});

void t.test("who may be asked", (t) => {
  const live = (phase: Liveness, now: number): boolean => isLive(at(phase), now, times);
  t.strictSame(liveness.options.filter((phase) => live(phase, 3000)), ["ready", "suspect", "probed", "returning"]);
  t.strictSame([live("suspect", 16_999), live("suspect", 17_000), live("probed", 17_000), live("ready", 17_000)], [true, false, false, true], "a hold keeps nobody asked for ever");
  t.end();
});

void t.test("our network: fewer than a majority of the boxes that are not in quarantine", (t) => {
  const many = (counts: Partial<Record<Liveness, number>>): Liveness[] => liveness.options.flatMap((phase) => Array.from({ length: counts[phase] ?? 0 }, () => phase));
  const table: [Partial<Record<Liveness, number>>, boolean, string][] = [
    [{ ready: 5 }, false, "all there"],
    [{ ready: 3, suspect: 2 }, false, "two of five"],
    [{ ready: 3, probed: 1, lost: 1 }, false, "one after the other, a majority stays"],
    [{ ready: 2, suspect: 3 }, true, "three of five at once"],
    [{ ready: 2, suspect: 1, lost: 2 }, true, "with this one it would be no majority"],
    [{ ready: 2, probed: 1, returning: 2 }, true, "who returns does not count yet"],
    [{ ready: 2, suspect: 2 }, true, "half is no majority"],
    [{ ready: 2, suspect: 1 }, false, "two of three"],
    [{ ready: 1, suspect: 2 }, true, "one of three"],
    [{ suspect: 1 }, true, "a single box"],
    [{ ready: 1, maintenance: 2, suspect: 2 }, false, "an announced silence is none"],
    [{ ready: 2, suspect: 1, quarantined: 2 }, false, "who is out does not count"],
    [{ "never-seen": 5 }, false, "a start is no alarm"],
    [{ ready: 2, lost: 3 }, false, "nor is what has been so, and is not in question"],
    [{}, false, "no boxes"],
  ];
  for (const [counts, expectedHold, what] of table) t.equal(isHeld(many(counts), false), expectedHold, what);
  t.ok(isHeld(many({ ready: 2, returning: 3 }), true), "held until a majority is back");
  t.notOk(isHeld(many({ ready: 3, suspect: 2 }), true));
  t.end();
});

interface Sim { readonly lost: number; readonly suspicions: number }

/**
 * Boxes that beat every two seconds, each beat lost with `loss`, those in `dead` silent from their time on; ticks and
 * probes as the coordinator makes them. A probe takes 100 ms of a living box, and `probeMs` of a dead one.
 */
function simulate(seed: number, hours: number, loss: number, dead: readonly (number | undefined)[]): Sim {
  const [random] = fc.sample(fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })), { seed, numRuns: 1 });
  const chance = (): number => random?.next().value as number;
  let states = dead.map(() => openLiveness(0, false));
  const probes = new Map<number, number>();
  let hold = false;
  let lost = 0;
  let suspicions = 0;
  const step = (box: number, event: LivenessEvent, now: number): void => {
    const before = states[box]!;
    const next = stepLiveness(before, event, now, times);
    states = states.with(box, next.state);
    if (next.state.phase === "suspect" && before.phase === "ready") suspicions += 1;
    for (const effect of next.effects) {
      if (effect.do === "probe") probes.set(box, now + ((dead[box] ?? Infinity) > now ? 100 : 3000));
      if (effect.do === "lost") lost += 1;
    }
    hold = isHeld(states.map(({ phase }) => phase), hold);
  };
  for (let now = 0; now < hours * 3_600_000; now += 500) {
    for (const box of dead.keys()) {
      const alive = (dead[box] ?? Infinity) > now;
      if (alive && (now + box * 500) % 2000 === 0 && chance() >= loss) step(box, events.able, now);
      step(box, events.tick, now);
    }
    for (const [box, due] of probes) if (due <= now) {
      probes.delete(box);
      step(box, (dead[box] ?? Infinity) > due ? events.passed : { type: "probe-failed", hold }, now);
    }
  }
  return { lost, suspicions };
}
const nobody = [undefined, undefined, undefined, undefined, undefined];

void t.test("48 hours in which 30 % of the heartbeats are lost: many suspicions, no loss (custody §4, row 21)", (t) => {
  fc.assert(fc.property(fc.integer(), (seed) => {
    const { lost, suspicions } = simulate(seed, 48, 0.3, nobody);
    return lost === 0 && suspicions > 1000;
  }), { numRuns: 3, seed: 11 });
  t.end();
});

void t.test("whoever dies is lost while a majority stays, one after the other or at once; three of five are not", (t) => {
  const time = fc.integer({ min: 60_000, max: 90_000 });
  fc.assert(fc.property(fc.integer(), time, time, (seed, a, b) => simulate(seed, 0.05, 0, [a, b, undefined, undefined, undefined]).lost === 2), { numRuns: 20, seed: 12 });
  // Cut off together: their last beats were up to one interval apart.
  const cut = fc.integer({ min: 0, max: 2000 }).map((ms) => 60_000 + ms);
  fc.assert(fc.property(fc.integer(), cut, cut, cut, (seed, a, b, c) => simulate(seed, 0.05, 0, [a, b, c, undefined, undefined]).lost === 0), { numRuns: 50, seed: 13 });
  t.end();
});

void t.test("whatever happens: lost only out of a failed probe without a hold, never in maintenance or quarantine, which only a version of the record ends", (t) => {
  const event = fc.constantFrom(...(Object.keys(events) as Event[]));
  fc.assert(fc.property(fc.array(fc.tuple(event, fc.integer({ min: 0, max: 8000 })), { maxLength: 60 }), (steps) => {
    let state = openLiveness(0, false);
    let now = 0;
    for (const [name, after] of steps) {
      now += after;
      const next = stepLiveness(state, events[name], now, times);
      const saysLost = next.effects.some((effect) => effect.do === "lost");
      if (saysLost && (state.phase !== "probed" || name !== "failed" || now - state.silentSince < times.lostMs || next.state.phase !== "lost")) return false;
      if (state.phase === "quarantined" && name !== "readmitted" && next.state !== state) return false;
      if (next.state.phase === "ready" && state.phase !== "ready" && !["able", "passed", "resume", "tick"].includes(name)) return false;
      state = next.state;
    }
    return true;
  }), { numRuns: 2000, seed: 14 });
  t.end();
});

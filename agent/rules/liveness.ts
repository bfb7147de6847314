import type { BoxHeartbeat, Liveness } from "../protocol/heartbeat.ts";

/**
 * What the coordinator thinks of a box (design §11, custody §3.5): a pure function from state and event to the
 * next state and the effects to carry out. All times are ms of the coordinator's own monotonic clock.
 *
 *   never-seen ──beat──▶ ready ──silent, will, unable──▶ suspect ──tick──▶ probed ──failed, silent too long──▶ lost
 *                          ▲──────────beat, passed─────────┴───────────────┘                                   │
 *                          └───────────────────steady for long enough──── returning ◀──────────beat────────────┘
 */
export interface LivenessTimes {
  /** Silence after which a box is suspect. */
  readonly suspectMs: number;
  /** Silence after which a probe that fails makes it lost. */
  readonly lostMs: number;
  /** How long one that was never heard is waited for before it is suspect. */
  readonly absentMs: number;
  /** How long one that was lost must beat without a gap before it is ready; doubled with every further loss. */
  readonly steadyMs: number;
  /** Losses within this time count as flapping. */
  readonly flapWindowMs: number;
}

export interface LivenessState {
  readonly phase: Liveness;
  /** When this phase began; suspect and probed are one in this. */
  readonly since: number;
  /** The last proof of ability. Silence counts from here. */
  readonly silentSince: number;
  /** End of a maintenance. */
  readonly until: number;
  /** When it was lost, newest last: as many as count for the damping. */
  readonly losses: readonly number[];
}

interface Payloads {
  /** A fresh heartbeat. One that says its HSM or a shard is not in order is no sign of ability (custody §4, row 20). */
  readonly beat: { readonly able: boolean };
  /** The broker's or the box's own word that it is gone: a hint, never a verdict. */
  readonly will: object;
  readonly tick: object;
  readonly "probe-passed": object;
  /** `hold`: no verdict may come of it, for it may be our own network or HSM. */
  readonly "probe-failed": { readonly hold: boolean };
  /** The hold has ended: who was silent in it has been so for our network's sake, and is given the time once more. */
  readonly "hold-over": object;
  readonly pause: { readonly until: number };
  readonly resume: object;
  readonly quarantine: object;
  /** A version of the site record has lifted its quarantine. */
  readonly readmitted: object;
}
type EventType = keyof Payloads;
type EventOf<T extends EventType> = { readonly type: T } & Payloads[T];
export type LivenessEvent = { readonly [T in EventType]: EventOf<T> }[EventType];

export type LivenessEffect =
  /** Ask it for work. */
  | { readonly do: "probe" }
  /** Tell that it is lost: once, however often it shows itself in between without having been ready. */
  | { readonly do: "lost" }
  /** It flaps so much that somebody should look. */
  | { readonly do: "alarm" };

export interface LivenessStep {
  readonly state: LivenessState;
  readonly effects: readonly LivenessEffect[];
}
type Row<T extends EventType> = (state: LivenessState, event: EventOf<T>, now: number, times: LivenessTimes) => LivenessStep;
type Rows = { readonly [T in EventType]?: Row<T> };

/** 2^4: the steady time grows to sixteen times. */
const mostLosses = 5;

export function openLiveness(now: number, isQuarantined: boolean): LivenessState {
  return { phase: isQuarantined ? "quarantined" : "never-seen", since: now, silentSince: now, until: now, losses: [] };
}

const isDoubted = (phase: Liveness): boolean => phase === "suspect" || phase === "probed";
const silence = (state: LivenessState, now: number): number => now - state.silentSince;

function enter(state: LivenessState, phase: Liveness, now: number, ...effects: LivenessEffect[]): LivenessStep {
  const same = phase === state.phase || (isDoubted(phase) && isDoubted(state.phase));
  return { state: { ...state, phase, since: same ? state.since : now }, effects };
}

const stay: Row<EventType> = (state) => ({ state, effects: [] });
const able = (state: LivenessState, phase: Liveness, now: number): LivenessStep => enter({ ...state, silentSince: now }, phase, now);
const suspect: Row<EventType> = (state, _event, now) => enter(state, "suspect", now);
const quarantine: Row<EventType> = (state, _event, now) => enter(state, "quarantined", now);
const pause: Row<"pause"> = (state, { until }, now) => enter({ ...state, until }, "maintenance", now);
const proven: Row<"beat"> = (state, event, now) => (event.able ? able(state, "ready", now) : enter(state, isDoubted(state.phase) ? state.phase : "suspect", now));
const silentFor = (most: "suspectMs" | "absentMs", phase: Liveness): Row<"tick"> =>
  (state, _event, now, times) => (silence(state, now) >= times[most] ? enter(state, phase, now) : { state, effects: [] });

/** A box that is lost again soon must be steady for longer before it counts again (custody §4, row 21). */
function steadyMs({ losses }: LivenessState, times: LivenessTimes): number {
  return times.steadyMs * 2 ** Math.max(0, losses.length - 1);
}

const anew: Row<EventType> = (state, _event, now) => able(state, "suspect", now);

const failed: Row<"probe-failed"> = (state, { hold }, now, { lostMs, flapWindowMs }) => {
  if (hold || silence(state, now) < lostMs) return enter(state, "suspect", now);
  const losses = [...state.losses.filter((at) => now - at < flapWindowMs), now].slice(-mostLosses);
  return enter({ ...state, losses }, "lost", now, { do: "lost" }, ...(losses.length === mostLosses ? [{ do: "alarm" } as const] : []));
};

const steady: Row<"beat"> = (state, event, now, times) => {
  if (!event.able) return enter(state, "lost", now);
  if (silence(state, now) >= times.suspectMs) return able({ ...state, since: now }, "returning", now);
  return able(state, now - state.since >= steadyMs(state, times) ? "ready" : "returning", now);
};

/** It was allowed to be silent until now: unheard, its silence begins at this moment. */
const over: Row<EventType> = (state, _event, now, { suspectMs }) =>
  (silence(state, now) < suspectMs ? enter(state, "ready", now) : able(state, "suspect", now));

/** Every event that is not in the row of its phase changes nothing. */
const table: Readonly<Record<Liveness, Rows>> = {
  "never-seen": { beat: proven, tick: silentFor("absentMs", "suspect"), pause, quarantine },
  ready: { beat: proven, will: suspect, tick: silentFor("suspectMs", "suspect"), pause, quarantine },
  suspect: { beat: proven, "hold-over": anew, tick: (state, _event, now) => enter(state, "probed", now, { do: "probe" }), pause, quarantine },
  probed: { beat: proven, "hold-over": anew, "probe-passed": (state, _event, now) => able(state, "ready", now), "probe-failed": failed, pause, quarantine },
  lost: { beat: (state, event, now) => (event.able ? able(state, "returning", now) : { state, effects: [] }), pause, quarantine },
  returning: { beat: steady, tick: silentFor("suspectMs", "lost"), pause, quarantine },
  maintenance: {
    beat: (state, event, now) => ({ state: event.able ? { ...state, silentSince: now } : state, effects: [] }),
    tick: (state, event, now, times) => (now >= state.until ? over(state, event, now, times) : { state, effects: [] }),
    pause, resume: over, quarantine,
  },
  quarantined: { readmitted: (_state, _event, now) => ({ state: openLiveness(now, false), effects: [] }) },
};

export function stepLiveness<T extends EventType>(state: LivenessState, event: EventOf<T>, now: number, times: LivenessTimes): LivenessStep {
  const row: Row<T> | undefined = table[state.phase][event.type];
  return (row ?? stay)(state, event, now, times);
}

/** Whether it may still be asked. One that a hold keeps from being lost is not asked for ever. */
export function isLive(state: LivenessState, now: number, { lostMs }: LivenessTimes): boolean {
  return state.phase === "ready" || state.phase === "returning" || (isDoubted(state.phase) && silence(state, now) < lostMs);
}

/**
 * "It is our network" (design §11): where fewer than a majority of the boxes that are not in quarantine are ready or
 * in maintenance, nobody is declared lost. Who is suspect does not count, so that of boxes which fall silent
 * together the first is not lost before the last is noticed. Held until a majority is back.
 */
export function isHeld(phases: readonly Liveness[], held: boolean): boolean {
  const counted = phases.filter((phase) => phase !== "quarantined");
  const sound = counted.filter((phase) => phase === "ready" || phase === "maintenance").length;
  if (sound > counted.length / 2) return false;
  return held || counted.some(isDoubted);
}

/** Every part that the box is to have is in order. One that is not makes it degraded, and nothing more: it may still do its work. */
export function isWell({ hsm, sensor, panel }: Pick<BoxHeartbeat, "hsm" | "sensor" | "panel">): boolean {
  return hsm.ok && sensor.state === "ready" && (panel === undefined || panel.state === "ready");
}

import { code } from "../codes.ts";
import { answer, u16, type Commands, type Outcome, type Surroundings } from "../command.ts";
import { capture, render } from "../prints.ts";
import { withFlash, withRam, type Light, type State } from "../state.ts";
import { extract, merge } from "./capture.ts";
import { best } from "./library.ts";

/** AutoEnroll and AutoIdentify: commands that wait for fingers by themselves (hardware/fingerprint.md §2.6). */
export interface Enrolling {
  readonly kind: "enrol";
  readonly slot: number;
  readonly mayRepeat: boolean;
  readonly reports: boolean;
  readonly mustLeave: boolean;
  readonly features: readonly Uint8Array[];
  /** Waiting for the finger to go before the next capture. */
  readonly leaving: boolean;
  readonly waitedMs: number;
}
export interface Identifying {
  readonly kind: "identify";
  readonly level: number;
  readonly first: number;
  readonly count: number;
  readonly reports: boolean;
  /** Tries left; null is for ever. */
  readonly tries: number | null;
  readonly waitedMs: number;
}
export type AutoJob = Enrolling | Identifying;

/** Step numbers of image and features of the six captures, as the manual writes them. */
const captureSteps = [[0x01, 0x02], [0x03, 0x04], [0x05, 0x06], [0x07, 0x08], [0x09, 0x10], [0x11, 0x12]] as const;
const step = { duplicate: 0x0d, merge: 0x0e, store: 0x0f } as const;
const timeOutMs = 10_000;
const freeSlot = 0xc8;

export const autoCommands: Commands = {
  // Cancel
  0x30: { parameters: 0, run: (state) => answer(withRam(state, { auto: null }), code.done) },
  // AutoEnroll
  0x31: { parameters: 5, run: (state, parameters, { profile }) => {
    const [id, mayOverwrite, mayRepeat, reports, mustLeave] = [0, 1, 2, 3, 4].map((at) => parameters.getUint8(at));
    const free = Array.from({ length: profile.capacity }, (_, n) => n).find((n) => !state.flash.library.has(n));
    const slot = id === undefined || id >= freeSlot ? free : id;
    if (slot === undefined) return answer(state, code.full, 0, 0);
    if (slot >= profile.capacity) return answer(state, code.badSlot, 0, 0);
    if (state.flash.library.has(slot) && mayOverwrite === 0) return answer(state, code.slotTaken, 0, 0);
    return waiting(state, { kind: "enrol", slot, mayRepeat: mayRepeat === 1, reports: reports === 1, mustLeave: mustLeave === 1, features: [], leaving: false, waitedMs: 0 });
  } },
  // AutoIdentify
  0x32: { parameters: 5, run: (state, parameters, { profile }) => {
    const [level = 0, first = 0, count = 0, reports, tries = 0] = [0, 1, 2, 3, 4].map((at) => parameters.getUint8(at));
    if (level < 1 || level > 5) return answer(state, code.badPacket, 0, 0, 0, 0, 0);
    if (first >= profile.capacity) return answer(state, code.badSlot, 0, 0, 0, 0, 0);
    if (state.flash.library.size === 0) return answer(state, code.libraryEmpty, 0, 0, 0, 0, 0);
    return waiting(state, { kind: "identify", level, first, count, reports: reports === 1, tries: tries === 0 ? null : tries, waitedMs: 0 });
  } },
};

function waiting(state: State, auto: AutoJob): Outcome {
  return { state: withRam(state, { auto, light: ring("breathing", "white") }), acks: [] };
}

function ring(effect: Light["effect"], colour: Light["colour"]): Light {
  return { effect, colour, speed: 0x80, count: 0 };
}

/** Moves a waiting command on by `ms` of the module's time: what it now reports, and its end. */
export function advance(state: State, around: Surroundings, ms: number): Outcome {
  const { auto } = state.ram;
  if (auto === null) return { state, acks: [] };
  const waitsFor = auto.kind === "enrol" && auto.leaving ? "lift" : "touch";
  if ((around.finger === null) === (waitsFor === "touch")) {
    const waitedMs = auto.waitedMs + ms;
    return waitedMs < timeOutMs ? keep(state, { ...auto, waitedMs }, []) : finish(state, [report(auto, code.timedOut, 1)], false);
  }
  if (auto.kind === "identify") return identify(state, around, auto);
  return waitsFor === "lift" ? keep(state, { ...auto, leaving: false, waitedMs: 0 }, []) : enrol(state, around, auto);
}

function report(auto: AutoJob, cc: number, at: number, id = 0, score = 0): Uint8Array {
  return auto.kind === "enrol" ? Uint8Array.of(cc, at, id) : Uint8Array.of(cc, at, ...u16(id), ...u16(score));
}

function keep(state: State, auto: AutoJob, acks: readonly Uint8Array[]): Outcome {
  return { state: withRam(state, { auto }), acks };
}

function finish(state: State, acks: readonly Uint8Array[], good: boolean): Outcome {
  return { state: withRam(state, { auto: null, light: ring("on", good ? "green" : "red") }), acks };
}

function featuresNow({ profile, finger, random }: Surroundings): Uint8Array | number {
  if (finger === null) return code.noFinger;
  return extract(profile, render(capture(finger.name, finger.quality, random.bytes(16)), profile.image.width * profile.image.height / 2));
}

function enrol(state: State, around: Surroundings, job: Enrolling): Outcome {
  const [imageStep, featureStep] = captureSteps[job.features.length] ?? captureSteps[0];
  const fresh = featuresNow(around);
  if (typeof fresh === "number") return finish(state, [report(job, fresh, featureStep)], false);
  const features = [...job.features, fresh];
  const steps = [report(job, code.done, imageStep), report(job, code.done, featureStep)];
  const told = job.reports ? steps : [];
  if (features.length < captureSteps.length) return keep(state, { ...job, features, leaving: job.mustLeave, waitedMs: 0 }, told);
  if (!job.mayRepeat && best(state, fresh, 0, around.profile.capacity, state.flash.security) !== null) {
    return finish(state, [...told, report(job, code.known, step.duplicate)], false);
  }
  const template = merge(around.profile, features);
  if (template === null) return finish(state, [...told, report(job, code.noMerge, step.merge)], false);
  const checks = job.reports ? [report(job, code.done, step.duplicate), report(job, code.done, step.merge)] : [];
  const stored = withFlash(state, { library: new Map(state.flash.library).set(job.slot, template) });
  return finish(stored, [...told, ...checks, report(job, code.done, step.store, job.slot)], true);
}

function identify(state: State, around: Surroundings, job: Identifying): Outcome {
  const fresh = featuresNow(around);
  if (typeof fresh === "number") return finish(state, [report(job, fresh, 2)], false);
  const told = job.reports ? [report(job, code.done, 1), report(job, code.done, 2)] : [];
  const hit = best(state, fresh, job.first, job.count, job.level);
  if (hit !== null) return finish(state, [...told, report(job, code.done, 3, hit.slot, hit.score)], true);
  const tries = job.tries === null ? null : job.tries - 1;
  if (tries === 0) return finish(state, [...told, report(job, code.notFound, 3)], false);
  return keep(state, { ...job, tries, waitedMs: 0 }, told);
}

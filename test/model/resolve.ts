import { isBound, stepAttempt, type AttemptEvent, type Stage } from "../../agent/rules/reshard/attempt.ts";
import { activationsNeeded, burnsNeeded } from "../../agent/rules/reshard/certificates.ts";

/**
 * RESOLVE after certificate P: a refresh by `boxes` honest boxes and perhaps one that lies. The coordinator lies: whatever
 * was signed reaches anybody at any time. People have named boxes gone; these may be alive all the same. Table and counts
 * are the product's own, but for the two rules that a setting can weaken to what protocol.md §7 had.
 */
export interface Resolving {
  readonly boxes: number;
  readonly threshold: number;
  /** How many of the honest ones were named gone: they are asked nothing. */
  readonly gone: number;
  /** One box more, which signs everything. Its shards do not count. */
  readonly liar: boolean;
  /** Whether D alone moves a box that has answered "I hold old". */
  readonly settlesAfterAnswer: boolean;
  /** How many "I have settled" move those who answered otherwise; with D. */
  readonly forwardNeeded: number;
}

interface Box { readonly stage: Stage; readonly activated: boolean; readonly burn: boolean; readonly answer: "none" | "old" | "settled" }
const shows = { D: "settle", BURN: "bury", back: "back", forward: "forward" } as const satisfies Record<Certificate, AttemptEvent>;
type State = readonly Box[];
type Certificate = "D" | "BURN" | "back" | "forward";

const serves = { joined: ["old"], renounced: ["old"], prepared: ["old"], withdrawn: ["old"], activated: ["old", "new"], answered: ["old"], "answered-active": ["old", "new"], settled: ["new"], burnt: ["old"] } as const satisfies Record<Stage, readonly ("old" | "new")[]>;

function certificatesOf(state: State, { boxes, threshold, gone, liar, forwardNeeded }: Resolving): Certificate[] {
  const more = Number(liar);
  const n = boxes + more;
  const count = (has: (box: Box) => boolean): number => state.filter(has).length + more;
  const asked = state.slice(gone);
  const D = count(({ activated }) => activated) >= activationsNeeded(n);
  const back = isWorthIt({ boxes, threshold, gone }) && asked.every(({ answer }) => answer === "old");
  const forward = D && asked.filter(({ answer }) => answer === "settled").length + more >= forwardNeeded;
  return [
    ...(D ? ["D" as const] : []), ...(count(({ burn }) => burn) >= burnsNeeded(n) ? ["BURN" as const] : []),
    ...(back ? ["back" as const] : []), ...(forward ? ["forward" as const] : []),
  ];
}

/** Enough are asked for their old shards to be a key: t, and one more where one may lie. Else nobody answers. */
function isWorthIt({ boxes, threshold, gone }: Pick<Resolving, "boxes" | "threshold" | "gone">): boolean {
  return boxes - gone >= threshold;
}

/** What a certificate makes of a box; the box itself where it refuses. */
function shown(box: Box, certificate: Certificate, { settlesAfterAnswer }: Resolving): Box {
  const step = stepAttempt(box.stage, certificate === "D" && isBound(box.stage) && settlesAfterAnswer ? "forward" : shows[certificate]);
  return step === null ? box : { ...box, stage: step.to };
}

/** What an honest box may do by itself: nothing that it could not sign beside its answer. */
function* doing(box: Box, isAsked: boolean): Generator<Box> {
  for (const event of ["activate", "burn", "resolve"] as const) {
    const step = event === "resolve" && !isAsked ? null : stepAttempt(box.stage, event);
    if (step === null) continue;
    const answer = step.sign !== "resolved" || box.answer !== "none" ? box.answer : step.to === "settled" ? "settled" : "old";
    yield { stage: step.to, activated: box.activated || step.sign === "activated", burn: box.burn || step.sign === "burn", answer };
  }
}

/** Whether t honest boxes serve one epoch, now or when one certificate that exists has been shown to all. */
function isKept(state: State, setting: Resolving): boolean {
  const futures = [state, ...certificatesOf(state, setting).map((certificate) => state.map((box) => shown(box, certificate, setting)))];
  return futures.some((boxes) => (["old", "new"] as const).some((epoch) => boxes.filter(({ stage }) => (serves[stage] as readonly string[]).includes(epoch)).length >= setting.threshold));
}

/** Visits every state. How many there are, and the first in which the key is lost, box by box. */
export function exploreResolve(setting: Resolving): { readonly states: number; readonly lost: readonly string[] | null } {
  const prepared: Box = { stage: "prepared", activated: false, burn: false, answer: "none" };
  const open: State[] = [Array.from({ length: setting.boxes }, () => prepared)];
  const seen = new Set<string>([JSON.stringify(open[0])]);
  for (const state of open) {
    if (!isKept(state, setting)) return { states: seen.size, lost: state.map(({ stage, answer }) => `${stage}, answered ${answer}`) };
    const certificates = certificatesOf(state, setting);
    for (const [i, box] of state.entries()) {
      for (const next of [...doing(box, i >= setting.gone && isWorthIt(setting)), ...certificates.map((certificate) => shown(box, certificate, setting))]) {
        const to = state.with(i, next);
        const name = JSON.stringify(to);
        if (seen.has(name)) continue;
        seen.add(name);
        open.push(to);
      }
    }
  }
  return { states: seen.size, lost: null };
}

/**
 * One operation as the coordinator drives it (protocol.md §3): a pure function from state and event to
 * the next state and the effects to carry out. Whoever calls it owns timers, messages and the enclave.
 *
 *   opening ──payload──▶ waiting ──rule met──▶ challenging ──enough──▶ releasing ──t shards──▶ computing ──▶ done
 *                                    └─(create)─▶ creating ─────────────────────────────────────────────────▶ done
 *
 * What is only approved, a plan or a version of the record, has no payload, and no deadline once the evidence is there.
 */
export type Phase = "opening" | "waiting" | "challenging" | "releasing" | "computing" | "creating" | "done";

export type Verdict = "good" | "wrong" | "refused" | "silent";

export interface OperationState {
  readonly phase: Phase;
  readonly kind: "use" | "create" | "approve";
  readonly threshold: number;
  readonly holders: readonly string[];
  readonly mostRefusedFingers: number;
  readonly refusedFingers: readonly RefusedTouch[];
  readonly answers: ReadonlyMap<string, Verdict>;
  readonly graceOver: boolean;
  /** Asked to release, in order of their good answers. */
  readonly asked: readonly string[];
  readonly shards: readonly string[];
  readonly failed: readonly string[];
  /** Names of refusals by holders: if all say the same, the operation ends with it. */
  readonly refusals: readonly string[];
}

type RefusedTouch = "unknown-finger" | "template-changed" | "poor-image" | "not-permitted" | "not-confirmed" | "no-button";
/** The finger was one of a person of the site. */
const notBiometrics: readonly RefusedTouch[] = ["not-permitted", "not-confirmed", "no-button"];

export type OperationEvent =
  | { readonly type: "payload" }
  | { readonly type: "evidence"; readonly satisfied: boolean }
  | { readonly type: "refused-finger"; readonly reason: RefusedTouch }
  | { readonly type: "answer"; readonly box: string; readonly verdict: Verdict; readonly code?: string }
  | { readonly type: "grace-over" }
  | { readonly type: "shard"; readonly box: string }
  | { readonly type: "no-shard"; readonly box: string; readonly code: string }
  | { readonly type: "computed" }
  | { readonly type: "key-check-failed" }
  | { readonly type: "failed"; readonly code: string }
  | { readonly type: "deadline" }
  | { readonly type: "cancelled" };

export type OperationEffect =
  | { readonly do: "prompt" }
  | { readonly do: "challenge" }
  | { readonly do: "grace" }
  | { readonly do: "release"; readonly boxes: readonly string[] }
  | { readonly do: "compute"; readonly boxes: readonly string[] }
  | { readonly do: "create" }
  | { readonly do: "quarantine"; readonly box: string }
  | { readonly do: "finish"; readonly error: string | null };

export interface Step {
  readonly state: OperationState;
  readonly effects: readonly OperationEffect[];
}

export function openOperation(kind: OperationState["kind"], threshold: number, holders: readonly string[], mostRefusedFingers: number): OperationState {
  return {
    phase: "opening", kind, threshold, holders, mostRefusedFingers, refusedFingers: [], answers: new Map(), graceOver: false,
    asked: [], shards: [], failed: [], refusals: [],
  };
}

const stay = (state: OperationState): Step => ({ state, effects: [] });
const finish = (state: OperationState, error: string | null): Step => ({ state: { ...state, phase: "done" }, effects: [{ do: "finish", error }] });

/** Every event that is not in the table of its phase changes nothing. */
export function stepOperation(state: OperationState, event: OperationEvent): Step {
  // A wrong answer counts at any time, also late: that box's HSM does not hold the secret it should.
  if (event.type === "answer" && event.verdict === "wrong") {
    const step = state.phase === "done" ? stay(state) : finish(state, "HSM_COMPROMISED");
    return { ...step, effects: [{ do: "quarantine", box: event.box }, ...step.effects] };
  }
  if (state.phase === "done") return stay(state);
  if (event.type === "deadline") return state.kind === "approve" && state.phase === "creating" ? stay(state) : finish(state, "TIMED_OUT");
  if (event.type === "cancelled") return finish(state, "CANCELLED");
  if (event.type === "failed") return finish(state, event.code);
  return byPhase[state.phase](state, event);
}

const byPhase: Readonly<Record<Exclude<Phase, "done">, (state: OperationState, event: OperationEvent) => Step>> = {
  opening: (state, event) => (event.type === "payload" ? { state: { ...state, phase: "waiting" }, effects: [{ do: "prompt" }] } : stay(state)),
  waiting,
  challenging,
  releasing,
  computing,
  creating: (state, event) => (event.type === "computed" ? finish(state, null) : stay(state)),
};

function waiting(state: OperationState, event: OperationEvent): Step {
  if (event.type === "refused-finger") {
    const refusedFingers = [...state.refusedFingers, event.reason];
    const next = { ...state, refusedFingers };
    if (refusedFingers.length < state.mostRefusedFingers) return stay(next);
    return finish(next, refusedFingers.every((reason) => notBiometrics.includes(reason)) ? "NOT_PERMITTED" : "INVALID_BIOMETRICS");
  }
  if (event.type !== "evidence" || !event.satisfied) return stay(state);
  if (state.kind !== "use") return { state: { ...state, phase: "creating" }, effects: [{ do: "create" }] };
  return afterAnswers({ ...state, phase: "challenging" }, [{ do: "challenge" }]);
}

function challenging(state: OperationState, event: OperationEvent): Step {
  if (event.type === "grace-over") return afterAnswers({ ...state, graceOver: true }, []);
  if (event.type !== "answer" || !state.holders.includes(event.box) || state.answers.has(event.box)) return stay(state);
  return afterAnswers(withAnswer(state, event), []);
}

function withAnswer(state: OperationState, { box, verdict, code }: { readonly box: string; readonly verdict: Verdict; readonly code?: string }): OperationState {
  const answers = new Map(state.answers).set(box, verdict);
  return { ...state, answers, refusals: code === undefined ? state.refusals : [...state.refusals, code] };
}

const goodOf = (state: OperationState): string[] => [...state.answers].filter(([, verdict]) => verdict === "good").map(([box]) => box);

/** Release when all have answered, or t are good and the grace has passed. */
function afterAnswers(state: OperationState, effects: readonly OperationEffect[]): Step {
  const good = goodOf(state);
  const open = state.holders.length - state.answers.size;
  if (good.length + open < state.threshold) return finish(state, shortage(state));
  if (good.length >= state.threshold && (open === 0 || state.graceOver)) {
    const boxes = good.slice(0, state.threshold);
    return { state: { ...state, phase: "releasing", asked: boxes }, effects: [...effects, { do: "release", boxes }] };
  }
  const wasReached = good.length === state.threshold && !state.graceOver && state.answers.size > 0;
  return { state, effects: wasReached ? [...effects, { do: "grace" }] : effects };
}

/** Too few holders: by the one name that those who refused agree on, else because they are not there. */
function shortage(state: OperationState): string {
  const [first] = state.refusals;
  return first !== undefined && state.refusals.every((code) => code === first) && ![...state.answers.values()].includes("silent") ? first : "NOT_ENOUGH_HOLDERS";
}

function releasing(state: OperationState, event: OperationEvent): Step {
  if (event.type === "answer") return state.answers.has(event.box) || !state.holders.includes(event.box) ? stay(state) : stay(withAnswer(state, event));
  if (event.type === "shard" && state.asked.includes(event.box) && !state.shards.includes(event.box)) {
    const next = { ...state, shards: [...state.shards, event.box] };
    const still = next.asked.length - next.shards.length - next.failed.length;
    if (still > 0 || next.shards.length < state.threshold) return stay(next);
    return { state: { ...next, phase: "computing" }, effects: [{ do: "compute", boxes: next.shards }] };
  }
  if (event.type === "no-shard" && state.asked.includes(event.box) && !state.failed.includes(event.box)) {
    return askAnother({ ...state, failed: [...state.failed, event.box], refusals: [...state.refusals, event.code] });
  }
  return stay(state);
}

/** One more holder in place of one whose shard did not come or did not fit. */
function askAnother(state: OperationState): Step {
  const spare = goodOf(state).find((box) => !state.asked.includes(box));
  if (spare === undefined) return finish(state, shortage(state));
  return { state: { ...state, phase: "releasing", asked: [...state.asked, spare] }, effects: [{ do: "release", boxes: [spare] }] };
}

function computing(state: OperationState, event: OperationEvent): Step {
  if (event.type === "computed") return finish(state, null);
  if (event.type === "answer") return state.answers.has(event.box) || !state.holders.includes(event.box) ? stay(state) : stay(withAnswer(state, event));
  if (event.type !== "key-check-failed") return stay(state);
  // One of the shards is not on the polynomial: a further one tells which, without it nobody is accused.
  const spare = goodOf(state).find((box) => !state.asked.includes(box));
  if (spare === undefined) return finish(state, "KEY_CHECK_FAILED");
  return { state: { ...state, phase: "releasing", asked: [...state.asked, spare] }, effects: [{ do: "release", boxes: [spare] }] };
}

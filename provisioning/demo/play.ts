import { isNamed } from "../../agent/runtime/errors.ts";
import { asks, both } from "./asks.ts";
import { DemoError } from "./process.ts";
import { untilWhole } from "./reshards.ts";
import { people, policy, type DemoSite } from "./site.ts";
import { Stage, type Scenario, type StepTime } from "./stage.ts";

/** A scenario's deadline, and that of building the site. */
const scenarioMs = 60_000;
const buildMs = 120_000;

export interface Ended {
  readonly name: string;
  readonly ok: boolean;
  readonly expected: string | null;
  readonly error: string | null;
  readonly steps: readonly StepTime[];
  /** In words, where an expectation failed. */
  readonly failed?: string;
}

async function within<T>(ms: number, what: () => string, body: Promise<T>): Promise<T> {
  let late: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    late = setTimeout(() => { reject(new DemoError("DEMO_STEP_TIMEOUT", `${what()}: not ended after ${ms / 1000} s`)); }, ms);
  });
  try {
    return await Promise.race([body, deadline]);
  } finally {
    clearTimeout(late);
  }
}

/** Builds a sealed site with people and a key, step by step; what the story tells and every scenario needs. */
export async function buildSite(stage: Stage): Promise<void> {
  const { site } = stage;
  await within(buildMs, () => "the site", (async () => {
    await stage.step(`tokens, keys, certificates: one coordinator, ${site.boxes.length} boxes`, () => site.provision());
    await stage.step(`${site.boxes.length} agents up, each with its HSM and its sensor`, () => site.startBoxes());
    await stage.step("two officers and an auditor enrolled", async () => {
      const atBox = (box: string): Promise<void> => people.filter((one) => one.box === box).reduce(
        (before, { person, role, box: at }) => before.then(() => site.enrol(person, role, at)), Promise.resolve(),
      );
      await Promise.all([...new Set(people.map(({ box }) => box))].map(atBox));
    });
    await stage.step("rules applied, the record sealed", async () => {
      await site.client.request("site-apply", { policy });
      await site.client.request("site-seal", {});
      await site.boxesReady();
    });
    await stage.step("the key is born, 3 of 5", () => stage.use(asks.create, both));
  })());
}

/** What is said of scenarios whose site did not get built. */
export function notPlayed(building: Stage, wanted: readonly Scenario[], cause: unknown): Ended[] {
  return wanted.map(({ name, expected }) => failure(building, { name, expected }, cause));
}

/** Plays one scenario on a site that is as {@link buildSite} left it, and puts the site right again for one that plays there too. */
export async function playScenario(site: DemoSite, scenario: Scenario, next?: Scenario): Promise<Ended> {
  const stage = new Stage(site);
  const { name, expected } = scenario;
  const ended = await verdict(stage, scenario);
  if (next === undefined || (next.site ?? "usual") !== site.kind) return ended;
  try {
    await within(scenarioMs, () => `after ${name}`, putRight(site, scenario.leaves));
    return ended;
  } catch (error) {
    return { name, expected, error: ended.error, ok: false, steps: stage.steps, failed: `the site did not come back: ${String(error)}` };
  }
}

function failure(stage: Stage, { name, expected }: Pick<Scenario, "name" | "expected">, cause: unknown): Ended {
  const error = isNamed(cause) ? cause.code : "INTERNAL";
  return { name, ok: false, expected, error, steps: stage.steps, failed: `${stage.current}: ${cause instanceof Error ? cause.message : String(cause)}` };
}

async function verdict(stage: Stage, { name, expected, play, deadlineMs = scenarioMs }: Scenario): Promise<Ended> {
  try {
    const error = await within(deadlineMs, () => name, play(stage));
    const ok = error === expected;
    return { name, ok, expected, error, steps: stage.steps, ...(ok ? {} : { failed: `it ended with ${String(error)}, not with ${String(expected)}` }) };
  } catch (cause) {
    return failure(stage, { name, expected }, cause);
  }
}

async function putRight(site: DemoSite, leaves: Scenario["leaves"]): Promise<void> {
  if (leaves === "nothing" || leaves === "ruins") return;
  if (leaves === "coordinator" || leaves === "marks") {
    // The boxes too: after a broker that came and went they would wait ever longer before they try again.
    await site.stopAll();
    if (leaves === "marks") site.restore();
    await site.startCoordinator();
  }
  await site.startBoxes();
  if (leaves === "holders") await untilWhole(site);
}

import type { Ask, Outcome, Progress } from "../../agent/client/index.ts";
import type { SiteRecord } from "../../agent/protocol/site-record.ts";
import { nextBody, type Edit } from "../../agent/rules/record-edits.ts";
import { operationFor } from "../../agent/rules/record-step.ts";
import { isNamed } from "../../agent/runtime/errors.ts";
import { DemoError } from "./process.ts";
import type { BoxId, DemoSite, SiteKind } from "./site.ts";

export interface StepTime {
  readonly name: string;
  readonly ms: number;
}

type Fingers = readonly (readonly [BoxId, string])[];

/** Where a scenario plays: its site, its steps with their times, and the ways to ask and to touch. */
export class Stage {
  readonly site: DemoSite;
  readonly steps: StepTime[] = [];
  /** The step under way; a deadline names it. */
  current = "start";
  readonly #onStep: (step: StepTime) => void;

  constructor(site: DemoSite, onStep: (step: StepTime) => void = () => undefined) {
    this.site = site;
    this.#onStep = onStep;
  }

  async step<T>(name: string, body: () => Promise<T>): Promise<T> {
    this.current = name;
    const begun = performance.now();
    try {
      return await body();
    } finally {
      const step = { name, ms: Math.round(performance.now() - begun) };
      this.steps.push(step);
      this.#onStep(step);
    }
  }

  /** One operation; `fingers` go down one after the other, each once the prompt is there. */
  async use(ask: Ask, fingers: Fingers, onProgress: (progress: Progress) => void = () => undefined): Promise<Outcome> {
    return await this.#approved((told) => this.site.client.use(ask, { onProgress: (progress) => { told(progress); onProgress(progress); } }), fingers);
  }

  /** The next version of the site record; `fingers` likewise. */
  async changeRecord(edit: Edit, reason: string, fingers: Fingers): Promise<SiteRecord> {
    const { client } = this.site;
    const body = nextBody(client.record, edit);
    return await this.#approved((told) => client.changeRecord({ operation: operationFor(client.record, body), body, reason }, { onProgress: told }), fingers);
  }

  async #approved<T>(ask: (told: (progress: Progress) => void) => Promise<T>, fingers: Fingers): Promise<T> {
    let waiting: () => void = () => undefined;
    const prompted = new Promise<void>((resolve) => { waiting = resolve; });
    const outcome = ask((progress) => { if (progress.state === "waiting") waiting(); });
    outcome.catch(() => { waiting(); });
    await prompted;
    const touching = this.touch(fingers, outcome);
    try {
      // A finger that cannot be put down ends it now, not when the request has waited long enough.
      const [made] = await Promise.all([outcome, touching]);
      return made;
    } finally {
      await touching;
    }
  }

  /** Stops touching once the operation has ended: a refusal may come before the last finger. */
  async touch(fingers: Fingers, operation: Promise<unknown>): Promise<void> {
    let over = false;
    operation.then(() => { over = true; }, () => { over = true; });
    for (const [box, finger] of fingers) {
      if (this.#isOver(() => over)) return;
      try {
        await this.site.press(box, finger);
      } catch (error) {
        if (!this.#isOver(() => over)) throw error;
      }
    }
  }

  #isOver(over: () => boolean): boolean {
    return over();
  }

  expect(holds: boolean, words: string): void {
    if (!holds) throw new DemoError("DEMO_EXPECTATION_FAILED", words);
  }
}

/** The code with which something ended: null if it did not fail. Anything without a code is our own bug. */
export async function endOf(outcome: Promise<unknown>): Promise<string | null> {
  try {
    await outcome;
    return null;
  } catch (error) {
    if (isNamed(error) && !error.code.startsWith("DEMO_")) return error.code;
    throw error;
  }
}

export interface Scenario {
  readonly name: string;
  /** In words, for people. */
  readonly tells: string;
  readonly expected: string | null;
  /** Where it plays; on the usual site, if it does not say. */
  readonly site?: SiteKind;
  /**
   * What it leaves behind: nothing, boxes to start again, a key that is to get its holders back by itself, the
   * coordinator to start again, marks on the whole site, or a site on which nothing can be played any more.
   */
  readonly leaves: "nothing" | "boxes" | "holders" | "coordinator" | "marks" | "ruins";
  /** If it takes longer than scenarios do. */
  readonly deadlineMs?: number;
  /** Plays it; returns the code with which it ended. */
  readonly play: (stage: Stage) => Promise<string | null>;
}

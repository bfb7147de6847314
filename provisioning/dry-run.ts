import { z } from "zod";
import { exitCodes } from "../agent/runtime/config.ts";
import { ShardkeepError } from "../agent/runtime/errors.ts";
import type { Settled } from "./answers.ts";
import { exitCodeFor, result } from "./output.ts";
import { perform, type Provisioning } from "./programs.ts";
import { noteStep, type Step } from "./steps.ts";

export const dryRun = { dryRun: z.boolean().default(false) };
export const dryRunOption = ["--dry-run", "say what would be done, step by step, and change nothing"] as const;

/**
 * A provisioning program's dry run, and what will be needed here once it was run: ends this process, with 0 if nothing
 * failed. Throws what ended it before its first step.
 */
export async function rehearsal(json: boolean, program: Provisioning, args: readonly string[], { config, steps: before }: Settled): Promise<never> {
  const { steps: own, failure } = await perform(program, [...args, "--dry-run"], noteStep);
  if (failure !== undefined && own.at(-1)?.state !== "failed") throw failure;
  const steps: Step[] = [...before, ...own];
  if (own[0]?.step !== "configuration") {
    const { outlook } = await import("./doctor/outlook.ts");
    for (const step of await outlook(config)) {
      steps.push(step);
      noteStep(step);
    }
  }
  return foretold(json, steps);
}

/** Ends this process as a dry run: with 0, or as the first step that would fail ends it. */
export function foretold(json: boolean, steps: readonly Step[], others: object = {}): never {
  const failed = steps.filter(({ state }) => state === "failed");
  result(json, { ...others, ready: failed.length === 0, steps }, [failed.length === 0 ? "nothing was changed; without --dry-run it would go through" : `nothing was changed; mend first: ${failed.map(({ step }) => step).join(", ")}`]);
  process.exit(failed[0] === undefined ? exitCodes.ok : exitCodeFor(new ShardkeepError(failed[0].code ?? "", "")));
}

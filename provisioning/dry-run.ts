import { z } from "zod";
import { exitCodes } from "../agent/runtime/config.ts";
import { ShardkeepError } from "../agent/runtime/errors.ts";
import type { Settled } from "./answers.ts";
import { exitCodeFor, result } from "./output.ts";
import { noteStep, perform, type Provisioning, type Step } from "./programs.ts";

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
  const failed = steps.filter(({ state }) => state === "failed");
  result(json, { ready: failed.length === 0, steps }, [failed.length === 0 ? "nothing was changed; without --dry-run it would go through" : `nothing was changed; mend first: ${failed.map(({ step }) => step).join(", ")}`]);
  process.exit(failed[0] === undefined ? exitCodes.ok : exitCodeFor(new ShardkeepError(failed[0].code ?? "", "")));
}

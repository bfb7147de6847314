import { z } from "zod";
import { isNamed } from "../agent/runtime/errors.ts";
import { failureFields } from "../agent/runtime/steps.ts";
import { note } from "./output.ts";

/** One step of a command: what became of it, or would become. */
export const stepLine = z.looseObject({ step: z.string(), state: z.enum(["ok", "changed", "would change", "failed"]), code: z.string().optional(), message: z.string().optional(), remedy: z.string().optional() });
export type Step = z.infer<typeof stepLine>;

/** Shows a step to whoever waits for it; what failed is said in full where no error follows. */
export function noteStep({ step, state, code, message, remedy, ...others }: Step, inFull = true): void {
  const width = inFull ? "would change".length : "changed".length;
  const said = state !== "failed" ? Object.entries(others).map(([key, value]) => `  ${key} ${Array.isArray(value) ? value.join("; ") : String(value)}`).join("") : inFull ? `  ${code ?? ""}: ${message ?? ""}` : "";
  note(`  ${state.padEnd(width)}  ${step}${said}`);
  if (inFull && remedy !== undefined) note(`  ${" ".repeat(width)}  next: ${remedy}`);
}

/** What an error of ours makes of the step that it ended; others go on. */
export function failedStep(step: string, error: unknown): Step {
  if (!isNamed(error)) throw error;
  return { step, state: "failed", ...failureFields(error) };
}

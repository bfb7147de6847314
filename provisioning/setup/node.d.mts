import type { Step } from "./steps.mjs";

/** The step that makes node_modules what package-lock.json says. */
export function packagesStep(root: string): Step;

/** The step that compiles what tsconfig.json includes into dist/. */
export function buildStep(root: string): Step;

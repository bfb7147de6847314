import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { StepError } from "./output.ts";
import { noteStep, stepLine, type Step } from "./steps.ts";

/** The compiled programs beside this one. */
const programs = {
  agent: "../agent/box/main.js",
  coordinator: "../agent/coordinator/main.js",
  siteInit: "../agent/coordinator/init.js",
  boxJoin: "../agent/box/init.js",
  demo: "./demo/main.js",
} as const;
type Program = keyof typeof programs;
/** Those that go step by step. */
export type Provisioning = "siteInit" | "boxJoin";

const urlOf = (program: Program): URL => new URL(programs[program], import.meta.url);

/** Whether this program is there: the package has no demo, since it has no emulated sensors. */
export function isIncluded(program: Program): boolean {
  return existsSync(urlOf(program));
}

/** Goes on as a long-lived program, in this very process: the service manager knows its id. It reads process.argv. */
export async function become(program: "agent" | "coordinator"): Promise<void> {
  await import(urlOf(program).href);
}

function environment(): NodeJS.ProcessEnv {
  const own = { ...process.env };
  delete own["NODE_OPTIONS"];
  return own;
}

/** Runs a program on this terminal; resolves with its exit code. */
export function run(program: Program, args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [fileURLToPath(urlOf(program)), ...args], { stdio: "inherit", env: environment() });
  // Ctrl-C reaches the child by itself: wait for its end.
  const ignore = (): void => undefined;
  process.on("SIGINT", ignore);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      process.off("SIGINT", ignore);
      resolve(code ?? 1);
    });
  });
}

/** `NAME: CODE: message` and `next: remedy`, as agent/runtime/main.ts prints an error. */
const failureText = /^[^:]+: ([A-Z][A-Z_]+): ([^]*?)(?:\n {2}next: ([^]*))?$/;

/** What a provisioning program did, or would do, and the error that ended it. */
export interface Performed {
  readonly steps: readonly Step[];
  readonly failure: StepError | undefined;
}

/** Runs a provisioning program, with `input` on its stdin, and gives its steps to `show` as they come. */
export async function perform(program: Provisioning, args: readonly string[], show: (step: Step) => void, input = ""): Promise<Performed> {
  const child = spawn(process.execPath, [fileURLToPath(urlOf(program)), ...args], { stdio: ["pipe", "pipe", "pipe"], env: environment() });
  child.stdin.on("error", () => undefined).end(input);
  const steps: Step[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => {
    const step = stepLine.safeParse(parsed(line));
    if (!step.success) return;
    steps.push(step.data);
    show(step.data);
  });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => { errors += text; });
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (exitCode === 0) return { steps, failure: undefined };
  const [, code, message = "", remedy] = failureText.exec(errors.trimEnd()) ?? [];
  if (code === undefined) return { steps, failure: new StepError("INTERNAL", `the program ended with ${String(exitCode)}: ${errors}`, steps) };
  return { steps, failure: new StepError(code, message, steps, remedy) };
}

/** The same for a run that is to succeed. Throws the error that ended it. */
export async function provision(program: Provisioning, args: readonly string[], input = ""): Promise<readonly Step[]> {
  let hasBegun = false;
  const { steps, failure } = await perform(program, args, (step) => {
    // Of a run that did not begin the error says all.
    if (hasBegun || step.state !== "failed") noteStep(step, false);
    hasBegun = true;
  }, input);
  if (failure !== undefined) throw failure;
  return steps;
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

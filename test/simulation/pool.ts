import { fork } from "node:child_process";
import type { Change } from "./mutant.ts";
import type { Ran } from "./run-seed.ts";

export interface Task {
  readonly seeds: readonly number[];
  readonly toy: boolean;
  readonly changes: readonly Change[];
  readonly withTrace: boolean;
}
export type Told = Ran;

/** A seed takes a fraction of a second; whoever is silent for so long, also on a busy machine, has been made endless by a mutant. */
const mostSeedMs = 900_000;

/** Runs seeds in a process of their own, in order, until the first that breaks a rule. Resolves when it has ended. */
export function runInProcess(task: Task, onRan: (ran: Told) => void): Promise<void> {
  const child = fork(new URL("./worker.js", import.meta.url), { serialization: "advanced", stdio: ["ignore", "inherit", "inherit", "ipc"] });
  let timer = setTimeout(() => undefined, 0);
  let done = 0;
  const wait = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => { child.kill("SIGKILL"); }, mostSeedMs);
  };
  wait();
  let failed = false;
  child.on("message", (ran: Told) => {
    done += 1;
    failed ||= ran.violation !== null;
    wait();
    onRan(ran);
  });
  child.send(task);
  return new Promise((resolve) => {
    child.once("exit", (code, signal) => {
      clearTimeout(timer);
      const seed = task.seeds[done];
      if (!failed && seed !== undefined) onRan({ seed, violation: `the process ended by ${signal ?? `code ${code ?? 0}`}`, digest: "", trace: [], settled: 0, burnt: 0, weather: null });
      resolve();
    });
  });
}

/** At most `jobs` of them at a time, begun in their order. */
export async function side<T>(items: readonly T[], jobs: number, run: (item: T) => Promise<void>): Promise<void> {
  const rest = [...items];
  const one = async (): Promise<void> => {
    for (let item = rest.shift(); item !== undefined; item = rest.shift()) await run(item);
  };
  await Promise.all(Array.from({ length: jobs }, one));
}

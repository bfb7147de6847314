import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import type { Mutant } from "./mutant.ts";
import { mutants } from "./mutants.ts";
import { weatherOf } from "./weather.ts";
import { runInProcess, side, type Told } from "./pool.ts";

/*
 * npm run simulate -- --seeds 10000          seeds 0 … 9999; exit code 1 at the first broken rule
 * npm run simulate -- --seed 4711            that one alone, with its trace
 * npm run simulate -- --mutants [NAME …]     each mutant, until a seed catches it
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    "seeds": { type: "string", default: "200" },
    "from": { type: "string", default: "0" },
    "seed": { type: "string" },
    "mutants": { type: "boolean", default: false },
    "jobs": { type: "string", default: String(availableParallelism()) },
    "real-crypto": { type: "boolean", default: false },
    /** Of provisioning/setup.mjs. */
    "setup-ran": { type: "string" },
  },
});
const say = (line: string): void => { process.stdout.write(`${line}\n`); };
const jobs = Number(values.jobs);
const from = Number(values.from);
const count = Number(values.seeds);
const toy = !values["real-crypto"];
const range = (first: number, end: number, step = 1): number[] => Array.from({ length: Math.max(0, Math.ceil((end - first) / step)) }, (_, i) => first + i * step);

/** What a seed leaves behind in memory is little, but a process that ran thousands of them would need gigabytes. */
const seedsAProcess = 250;

function fail({ seed, violation, trace }: Told): void {
  say(trace.slice(-40).join("\n"));
  say(`seed ${seed} breaks a rule: ${violation ?? ""}\n  again, alone: npm run simulate -- --seed ${seed}`);
  process.exitCode = 1;
}

async function runOne(seed: number): Promise<void> {
  await runInProcess({ seeds: [seed], toy, changes: [], withTrace: true }, (ran) => {
    say(ran.trace.join("\n"));
    say(`weather ${JSON.stringify(ran.weather)}\ntrace ${ran.digest}`);
    if (ran.violation !== null) fail({ ...ran, trace: [] });
    else say(`seed ${seed}: every rule held; ${ran.settled} attempts in force, ${ran.burnt} burnt`);
  });
}

async function runAll(): Promise<void> {
  const begun = performance.now();
  const sum = { seeds: 0, settled: 0, burnt: 0, failed: 0 };
  const onRan = (ran: Told): void => {
    sum.seeds += 1;
    sum.settled += ran.settled;
    sum.burnt += ran.burnt;
    if (ran.violation !== null) {
      sum.failed += 1;
      fail(ran);
    }
    if (sum.seeds % 500 === 0) process.stderr.write(`${sum.seeds} of ${count} seeds\n`);
  };
  await side(range(from, from + count, seedsAProcess), jobs, async (first) => {
    const end = Math.min(first + seedsAProcess, from + count);
    for (let next = first; next < end;) await runInProcess({ seeds: range(next, end), toy, changes: [], withTrace: false }, (ran) => { next = ran.seed + 1; onRan(ran); });
  });
  const seconds = (performance.now() - begun) / 1000;
  say(`${sum.seeds} seeds, ${sum.failed} broke a rule; ${sum.settled} attempts in force, ${sum.burnt} burnt; ${seconds.toFixed(0)} s, ${(seconds / sum.seeds).toFixed(2)} s a seed`);
}

async function runMutants(chosen: readonly Mutant[]): Promise<void> {
  const missed: string[] = [];
  await side(chosen, jobs, async ({ name, what, changes, by }) => {
    let caught: Told | undefined;
    const seeds = range(from, from + count).filter((seed) => by === undefined || weatherOf(seed).liar === by);
    await runInProcess({ seeds, toy, changes, withTrace: false }, (ran) => { if (ran.violation !== null) caught = ran; });
    if (caught === undefined) missed.push(name);
    say(caught === undefined ? `MISSED  ${name}: ${what}` : `seed ${String(caught.seed).padStart(4)}  ${name}: ${what}\n           ${caught.violation ?? ""}`);
  });
  say(`${chosen.length - missed.length} of ${chosen.length} mutants caught within ${count} seeds${missed.length === 0 ? "" : `; missed: ${missed.join(" ")}`}`);
  if (missed.length > 0) process.exitCode = 1;
}

if (values.seed !== undefined) await runOne(Number(values.seed));
else if (values.mutants) await runMutants(positionals.length === 0 ? mutants : mutants.filter(({ name }) => positionals.includes(name)));
else await runAll();

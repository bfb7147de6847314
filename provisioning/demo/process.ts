import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, createWriteStream, openSync, type WriteStream } from "node:fs";
import { createInterface } from "node:readline";
import { root } from "#paths";
import { ShardkeepError } from "../../agent/runtime/errors.ts";

export class DemoError extends ShardkeepError<"DEMO_PROCESS_FAILED" | "DEMO_STEP_TIMEOUT" | "DEMO_EXPECTATION_FAILED" | "DEMO_USAGE"> {}

/** Nothing of ours inherits what tap or npm put into the environment. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => name !== "NODE_OPTIONS"));
}

/** A process of the site: its lines go to a log file, the demo waits for one of them. */
export class SiteProcess {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #log: WriteStream;
  readonly #ended: Promise<number | null>;
  readonly #lines: string[] = [];
  readonly #listeners = new Set<() => void>();
  #over = false;

  /** `entry` is a compiled file relative to dist/; `input`, if there is one, a file that it reads as stdin. */
  constructor(name: string, entry: string, args: readonly string[], logFile: string, input?: string) {
    this.name = name;
    this.#log = createWriteStream(logFile, { flags: "a" });
    const stdin = input === undefined ? "ignore" : openSync(input, "r");
    // Ends with the demo, also when the demo is killed.
    this.#child = spawn("setpriv", ["--pdeathsig", "KILL", "--", process.execPath, `${root}dist/${entry}`, ...args], {
      stdio: [stdin, "pipe", "pipe"], env: cleanEnvironment(),
    });
    if (typeof stdin === "number") closeSync(stdin);
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on("line", (line) => { this.#take(line); });
    }
    this.#ended = new Promise((resolve) => {
      this.#child.once("close", (code) => {
        this.#over = true;
        this.#log.end();
        for (const wake of this.#listeners) wake();
        resolve(code);
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get running(): boolean {
    return !this.#over;
  }

  get lines(): readonly string[] {
    return this.#lines;
  }

  #take(line: string): void {
    this.#lines.push(line);
    this.#log.write(`${line}\n`);
    for (const wake of this.#listeners) wake();
  }

  /** Resolves with the first line, from number `from` on, that matches; rejects if the process ends before, with what it said last. */
  async line(pattern: RegExp, from = 0): Promise<string> {
    for (let next = from; ;) {
      for (; next < this.#lines.length; next++) {
        const line = this.#lines[next] ?? "";
        if (pattern.test(line)) return line;
      }
      if (this.#over) throw new DemoError("DEMO_PROCESS_FAILED", `${this.name} ended: ${this.#lines.slice(-4).join(" / ")}`);
      await new Promise<void>((resolve) => {
        const wake = (): void => { this.#listeners.delete(wake); resolve(); };
        this.#listeners.add(wake);
      });
    }
  }

  /** Waits for its end; rejects if it failed. */
  async done(): Promise<void> {
    const code = await this.#ended;
    if (code !== 0) throw new DemoError("DEMO_PROCESS_FAILED", `${this.name} failed (${String(code)}): ${this.#lines.slice(-6).join(" / ")}`);
  }

  /** Asks it to stop, and insists after three seconds. */
  async stop(): Promise<void> {
    if (this.#over) return;
    this.#child.kill("SIGTERM");
    const insist = setTimeout(() => this.#child.kill("SIGKILL"), 3000);
    await this.#ended;
    clearTimeout(insist);
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }

  signal(name: "SIGSTOP" | "SIGCONT"): void {
    this.#child.kill(name);
  }
}

/** Runs a program of the site to its end. */
export async function run(name: string, entry: string, args: readonly string[], logFile: string): Promise<void> {
  await new SiteProcess(name, entry, args, logFile).done();
}

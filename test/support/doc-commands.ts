import { spawn, type ChildProcess } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout } from "node:timers/promises";

/** The contents of a document's ```sh blocks, in order. */
export function shellBlocks(markdown: string): string[] {
  return [...markdown.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, block = ""]) => block);
}

/** A terminal into which blocks of commands are copied one after the other: `bash -e`, stdout and stderr together. */
export class Terminal {
  readonly #shell: ChildProcess;
  readonly #closed: Promise<void>;
  #said = "";
  #over = false;
  #wake: () => void = () => undefined;

  constructor(cwd: string, env: NodeJS.ProcessEnv) {
    // A group of its own: what a failed block left running is ended with it.
    this.#shell = spawn("bash", ["-e"], { cwd, env, detached: true, stdio: ["pipe", "pipe", "inherit"] });
    this.#shell.stdin?.on("error", () => undefined).write("exec 2>&1\n");
    this.#shell.stdout?.setEncoding("utf8").on("data", (text: string) => { this.#said += text; this.#wake(); });
    // A failed block ends the shell, but what it left in the background keeps the pipe open.
    this.#shell.once("exit", () => { this.#over = true; this.#wake(); });
    this.#closed = new Promise((resolve) => { this.#shell.once("close", () => { resolve(); }); });
  }

  /** What the block said; rejects, with that, if a command of it failed. */
  async run(block: string): Promise<string> {
    this.#said = "";
    const marker = "\u0001done\u0001";
    this.#shell.stdin?.write(`${block}\nprintf '\\001done\\001'\n`);
    while (!this.#said.includes(marker)) {
      if (this.#over) throw new Error(`failed:\n${block}\n${this.#said}`);
      await new Promise<void>((resolve) => { this.#wake = resolve; });
    }
    return this.#said.replace(marker, "");
  }

  /** Waits for everything that still writes here. */
  async close(): Promise<void> {
    this.#shell.stdin?.end();
    await this.#closed;
  }

  kill(): void {
    if (this.#shell.pid === undefined) return;
    try {
      process.kill(-this.#shell.pid, "SIGKILL");
    } catch {
      // Nothing of the group is left.
    }
  }
}

/** Waits up to a second, in which a child may still follow its parent; gives those that stay. */
export async function leftIn(folder: string): Promise<string[]> {
  for (let tries = 20; runningIn(folder).length > 0 && tries > 0; tries--) await setTimeout(50);
  return runningIn(folder);
}

/** The command lines of the processes that work in `folder` or below, also when it is deleted. */
export function runningIn(folder: string): string[] {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
    try {
      if (!readlinkSync(`/proc/${pid}/cwd`).startsWith(folder)) return [];
      return [`${pid} ${readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")}`];
    } catch {
      return []; // ended meanwhile
    }
  });
}

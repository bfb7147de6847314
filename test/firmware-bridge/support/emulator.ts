import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { root } from "#paths";

const entry = `${root}dist/firmware-bridge/emulators/main.js`;

/**
 * The emulated sensor as a process of its own, on a pseudo-terminal, led by lines of JSON
 * (docs/emulators.md). Nothing of its code is used here: it checks the driver, and the driver it.
 */
export class EmulatorProcess {
  readonly folder: string;
  /** The link that the driver opens. */
  readonly link: string;
  readonly #process: ChildProcess;

  private constructor(folder: string, process: ChildProcess) {
    this.folder = folder;
    this.link = join(folder, "sensor");
    this.#process = process;
  }

  static async start(options: readonly string[] = []): Promise<EmulatorProcess> {
    const folder = mkdtempSync(join(tmpdir(), "shardkeep-emulated-"));
    const child = spawn(process.execPath, [entry, "sensor", "--link", join(folder, "sensor"), "--control", join(folder, "control"), "--state", join(folder, "state"), ...options], {
      stdio: ["ignore", "pipe", "ignore"], env: { ...process.env, NODE_OPTIONS: "" },
    });
    await new Promise<void>((resolve, reject) => {
      child.once("exit", (code) => { reject(new Error(`the emulator ended at its start: ${String(code)}`)); });
      createInterface({ input: child.stdout }).on("line", (line) => { if (line.includes("\"ready\":true")) resolve(); });
    });
    return new EmulatorProcess(folder, child);
  }

  /** Sends one command and returns the answer; rejects unless it is `ok`. */
  async control(command: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>> {
    const socket = createConnection(join(this.folder, "control"));
    try {
      const answer = new Promise<string>((resolve, reject) => {
        createInterface({ input: socket }).once("line", resolve);
        socket.once("error", reject);
      });
      socket.write(`${JSON.stringify(command)}\n`);
      const parsed = JSON.parse(await answer) as Record<string, unknown>;
      if (parsed["ok"] !== true) throw new Error(`${JSON.stringify(command)}: ${JSON.stringify(parsed)}`);
      return parsed;
    } finally {
      socket.destroy();
    }
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => { this.#process.once("exit", resolve); });
    this.#process.kill("SIGTERM");
    await ended;
    rmSync(this.folder, { recursive: true });
  }
}

import { spawn, type ChildProcess } from "node:child_process";

/** Keeps what it is given in its memory, and does nothing else. */
const keeps = 'process.stdin.once("data", (bytes) => { globalThis.kept = bytes; process.stdout.write("kept"); }); setInterval(() => 0, 1e6);';

/**
 * The control of a memory search: a process that does hold the secret. A search that finds nothing there
 * would prove nothing anywhere.
 */
export class Keeper {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async holding(secret: Uint8Array): Promise<Keeper> {
    const child = spawn(process.execPath, ["-e", keeps], { stdio: ["pipe", "pipe", "ignore"], env: {} });
    await new Promise((resolve) => {
      child.stdout.once("data", resolve);
      child.stdin.write(secret);
    });
    return new Keeper(child);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  end(): void {
    this.#child.kill("SIGKILL");
  }
}

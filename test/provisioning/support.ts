import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Test } from "tap";
import { findSoftHsm, root } from "#paths";

const dist = pathToFileURL(`${root}dist/`);
const softhsm = findSoftHsm();
export const withoutSoftHsm = softhsm === null ? "SoftHSM2 is not installed" : false;

/** Of a process of ours as production starts it. */
export function environment(extra: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const own = { ...process.env, ...softhsm?.env, ...extra };
  delete own["NODE_OPTIONS"];
  return own;
}

export interface Ended { readonly code: number | null; readonly stdout: string; readonly stderr: string }

export interface RunOptions {
  readonly input?: string | Uint8Array;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** SIGKILL as soon as a line of stdout matches. */
  readonly killAt?: RegExp;
  /** All of stderr so far, whenever more of it comes. */
  readonly onStderr?: (text: string) => void;
}

/** A compiled program of ours as its own process. `entry` is relative to dist/. */
export function run(entry: string, args: readonly string[], { input = "", env = {}, cwd, killAt, onStderr }: RunOptions = {}): Promise<Ended> {
  const child = spawn(process.execPath, [fileURLToPath(new URL(entry, dist)), ...args], { env: environment(env), ...(cwd === undefined ? {} : { cwd }) });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    if (killAt?.test(stdout) === true) child.kill("SIGKILL");
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
    onStderr?.(stderr);
  });
  child.stdin.on("error", () => undefined).end(input);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => { resolve({ code, stdout, stderr }); });
  });
}

/** `shardkeep ARGS`. */
export function shardkeep(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  return run("provisioning/main.js", args, options);
}

/** Many command lines in one process; `changed` is what each changed below the folder `watched`. */
export async function shardkeepBatch(lines: readonly (readonly string[])[], watched = ""): Promise<(Ended & { readonly changed: readonly string[] })[]> {
  const { code, stdout, stderr } = await run("test/provisioning/batch.js", [watched], { input: JSON.stringify(lines) });
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as (Ended & { changed: string[] })[];
}

/** A long-lived program; resolves when a line matches `ready`, ends with the test. */
export function start(t: Test, entry: string, args: readonly string[], ready: RegExp, env: NodeJS.ProcessEnv = {}): Promise<ChildProcess> {
  const child = spawn(process.execPath, [fileURLToPath(new URL(entry, dist)), ...args], { env: environment(env), stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise<void>((resolve) => { child.once("close", () => { resolve(); }); });
  t.teardown(async () => { child.kill("SIGTERM"); await ended; });
  return new Promise((resolve, reject) => {
    let said = "";
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        said += `${line}\n`;
        if (ready.test(line)) resolve(child);
      });
    }
    child.once("close", () => { reject(new Error(`${entry} ended: ${said}`)); });
  });
}

export async function freePort(): Promise<number> {
  return await new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => { resolve(typeof address === "object" && address !== null ? address.port : 0); });
    });
  });
}

export interface Place {
  readonly folder: string;
  readonly at: (...path: string[]) => string;
  /** Writes a configuration; gives its path. */
  readonly coordinator: (change?: object) => string;
  readonly box: (name: string, change?: object) => string;
}

/** A folder of its own, gone after the test, with configurations on SoftHSM tokens in it. */
export function place(t: Test, port = 1): Place {
  const folder = mkdtempSync(join(tmpdir(), "shardkeep-cli-"));
  t.teardown(() => { rmSync(folder, { recursive: true, force: true }); });
  const at = (...path: string[]): string => join(folder, ...path);
  const hsm = (name: string): object => ({ module: softhsm?.file ?? "none", token: name, pinFile: `${name}/pin`, softhsmConf: `${name}/softhsm2.conf` });
  const write = (name: string, config: object): string => {
    writeFileSync(at(`${name}.yaml`), JSON.stringify(config));
    return at(`${name}.yaml`);
  };
  return {
    folder, at,
    coordinator: (change = {}) => write("coordinator", { site: "plant", state: "coordinator", hsm: hsm("coordinator"), broker: { listen: { host: "127.0.0.1", port } }, ...change }),
    box: (name, change = {}) => write(name, {
      site: "plant", box: name, state: name, hsm: hsm(name), broker: `mqtts://127.0.0.1:${port}`, sensor: { path: `${name}.tty`, allowEmulated: true }, ...change,
    }),
  };
}

/** The steps that a provisioning program printed. */
export function stepsOf(stdout: string): { step: string; state: string; [field: string]: unknown }[] {
  return stdout.trim().split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as { step: string; state: string });
}

/** A pseudo-terminal that is there for the test's time, and nothing behind it. */
export function line(t: Test): string {
  const master = openSync("/dev/ptmx", "r+");
  t.teardown(() => { closeSync(master); });
  return `/dev/pts/${/tty-index:\s*(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${master}`, "utf8"))![1]!}`;
}

/** As many processes at once as there are cores. */
export async function inTurns<T>(all: readonly T[], check: (one: T) => Promise<void>): Promise<void> {
  const left = [...all];
  const work = async (): Promise<void> => { for (let one = left.shift(); one !== undefined; one = left.shift()) await check(one); };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
}

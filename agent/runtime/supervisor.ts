import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { z } from "zod";
import { ShardkeepError } from "./errors.ts";
import { eventMessage, parseReply, replyMessage, type Args, type Calls, type Result } from "./ipc.ts";
import type { Log } from "./log.ts";

export interface SupervisedOptions<C extends Calls> {
  /** Shown in logs and errors. */
  readonly name: string;
  /** The child's compiled entry file. */
  readonly entry: URL;
  /** Never a secret: argv is world-readable. */
  readonly args: readonly string[];
  readonly calls: C;
  /** Held by the child for its life (`flock -n`): a second owner of the same token or line cannot start. */
  readonly lockFile?: string;
  /** A call without an answer after this many ms ends the child (it may hang in native code). Default 5000. */
  readonly deadlineMs?: number;
  /** Calls under way at once; one more is refused. Default 64. */
  readonly maxInFlight?: number;
  /** Time to say `ready`. Default 10000. */
  readonly startMs?: number;
  /** Whether to start it again when it ends; off for a process that lives for one operation. Default true. */
  readonly restart?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  readonly nodeArgs?: readonly string[];
  /** Limits core dumps to zero (`prlimit --core=0`): for processes that hold secrets. */
  readonly noCore?: boolean;
  /** Its own output goes nowhere: for a command whose stdout is a document. Default false. */
  readonly quiet?: boolean;
  readonly log: Log;
  readonly onEvent?: (event: string, value: unknown) => void;
  /** Called after every start, before other calls pass: log in, load what the last life had. */
  readonly onStart?: (call: Caller<C>) => Promise<void>;
}

export type Caller<C extends Calls> = <K extends keyof C & string>(
  call: K, args: Args<C, K>, options?: { readonly deadlineMs?: number },
) => Promise<Result<C, K>>;

interface Pending {
  readonly call: string;
  readonly resolve: (value: never) => void;
  readonly reject: (error: ShardkeepError) => void;
  readonly timer: NodeJS.Timeout;
}

/** Where set-up had no root, the module's libraries are unpacked beside the project (provisioning/setup). */
function libraries(): Readonly<Record<string, string>> {
  const path = process.env["LD_LIBRARY_PATH"];
  return path === undefined ? {} : { LD_LIBRARY_PATH: path };
}

const restartMs = { first: 50, most: 30_000 } as const;
const defaultDeadlineMs = 5000;

/**
 * A child process as a crash domain (design §3): started through `setpriv --pdeathsig KILL` so that a
 * hung child cannot outlive a killed parent, killed when a call has no answer, started again with
 * exponential back-off; whoever waited gets a named error, never silence.
 */
export class Supervised<C extends Calls> {
  readonly #options: SupervisedOptions<C>;
  readonly #pending = new Map<number, Pending>();
  #child: ChildProcess | undefined;
  #up: Promise<void> = Promise.resolve();
  #nextId = 1;
  #stopped = false;
  #backoffMs: number = restartMs.first;
  #restarts = 0;
  #cancelRestart = (): void => undefined;

  constructor(options: SupervisedOptions<C>) {
    this.#options = options;
  }

  /** Starts the child and waits until it is ready; rejects if its first start fails. */
  start(): Promise<void> {
    this.#up = this.#spawn();
    return this.#up;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** How many times the child had to be started again. */
  get restarts(): number {
    return this.#restarts;
  }

  readonly call: Caller<C> = async (call, args, options) => {
    if (this.#stopped) throw this.#error("PROCESS_STOPPED", "is stopped");
    const deadlineMs = options?.deadlineMs ?? this.#options.deadlineMs ?? defaultDeadlineMs;
    await this.#upWithin(deadlineMs);
    return await this.#send(call, args, deadlineMs);
  };

  /** The back-off may be longer than a caller can wait. */
  async #upWithin(deadlineMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => { reject(this.#error("PROCESS_DOWN", `was not up again within ${deadlineMs} ms`)); }, deadlineMs);
    });
    try {
      await Promise.race([this.#up, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends the child: asked by closing its channel, forced after `graceMs`. */
  async stop(graceMs = 2000): Promise<void> {
    this.#stopped = true;
    this.#cancelRestart();
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => { child.once("exit", () => { resolve(); }); });
    if (child.connected) child.disconnect();
    const force = setTimeout(() => child.kill("SIGKILL"), graceMs);
    await ended;
    clearTimeout(force);
  }

  #error(code: string, what: string): ShardkeepError {
    return new ShardkeepError(code, `the ${this.#options.name} process ${what}`, { retryable: true });
  }

  #command(): { execPath: string; execArgv: string[] } {
    const { lockFile, nodeArgs = [], noCore = false } = this.#options;
    const chain = ["setpriv", "--pdeathsig", "KILL", "--"];
    if (noCore) chain.push("prlimit", "--core=0", "--");
    if (lockFile !== undefined) chain.push("flock", "-F", "-n", "-E", "73", lockFile);
    chain.push(process.execPath, ...nodeArgs);
    const [execPath = "setpriv", ...execArgv] = chain;
    return { execPath, execArgv };
  }

  async #spawn(): Promise<void> {
    const { entry, args, env = {}, startMs = 10_000, onStart, quiet = false } = this.#options;
    const output = quiet ? "ignore" : "inherit";
    // A minimal environment: no NODE_OPTIONS, nothing that might be a secret of ours.
    const child = fork(fileURLToPath(entry), args, {
      ...this.#command(),
      serialization: "advanced",
      stdio: ["ignore", output, output, "ipc"],
      env: { PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin", ...libraries(), ...env },
    });
    this.#child = child;
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => {
        child.kill("SIGKILL");
        reject(this.#error("PROCESS_START_TIMEOUT", `was not ready after ${startMs} ms`));
      }, startMs);
      child.on("message", (raw: unknown) => {
        const event = eventMessage.safeParse(raw);
        if (event.success && event.data.event === "ready") {
          clearTimeout(late);
          resolve();
        } else {
          this.#receive(raw);
        }
      });
      // Without its channel it is of no use, also if it lives on; and the channel may go before its end is told.
      child.once("disconnect", () => { if (!this.#stopped) this.#kill(child); });
      child.once("error", (cause) => { reject(new ShardkeepError("PROCESS_START_FAILED", `cannot start ${this.#options.name}`, { cause })); });
      child.once("exit", (code, signal) => {
        clearTimeout(late);
        reject(code === 73
          ? new ShardkeepError("ALREADY_OWNED", `another process owns ${this.#options.lockFile ?? this.#options.name}`, { remedy: "stop the other agent first" })
          : this.#error("PROCESS_ENDED", `ended at its start (${signal ?? `exit ${String(code)}`})`));
        this.#ended(child, signal ?? `exit ${String(code)}`);
      });
    });
    await onStart?.((call, callArgs, options) => this.#send(call, callArgs, options?.deadlineMs ?? this.#options.deadlineMs ?? defaultDeadlineMs));
    this.#backoffMs = restartMs.first;
  }

  #ended(child: ChildProcess, how: string): void {
    if (child !== this.#child) return;
    for (const [id, pending] of this.#pending) {
      clearTimeout(pending.timer);
      this.#pending.delete(id);
      pending.reject(this.#error("PROCESS_ENDED", `ended (${how}) during ${pending.call}`));
    }
    if (this.#stopped || this.#options.restart === false) return;
    this.#options.log.warn("child ended", { child: this.#options.name, how, againMs: this.#backoffMs });
    const wait = this.#backoffMs;
    this.#backoffMs = Math.min(wait * 2, restartMs.most);
    this.#restarts += 1;
    this.#up = new Promise<void>((resolve, reject) => {
      const again = setTimeout(() => { this.#spawn().then(resolve, reject); }, wait);
      this.#cancelRestart = () => {
        clearTimeout(again);
        reject(this.#error("PROCESS_STOPPED", "is stopped"));
      };
    });
    // Callers see the rejection when they call; the next exit event schedules the next try.
    this.#up.catch((error: unknown) => { this.#options.log.error("child did not start", { child: this.#options.name, error: String(error) }); });
  }

  #send<K extends keyof C & string>(call: K, args: Args<C, K>, deadlineMs: number): Promise<Result<C, K>> {
    const child = this.#child;
    if (child?.connected !== true) return Promise.reject(this.#error("PROCESS_ENDED", "is not running"));
    if (this.#pending.size >= (this.#options.maxInFlight ?? 64)) {
      return Promise.reject(this.#error("PROCESS_BUSY", `has ${this.#pending.size} calls under way`));
    }
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        this.#kill(child);
        reject(this.#error("PROCESS_HUNG", `gave no answer to ${call} in ${deadlineMs} ms and was restarted`));
      }, deadlineMs);
      this.#pending.set(id, { call, resolve: resolve, reject, timer });
      child.send({ id, call, args }, (error) => {
        if (error === null) return;
        clearTimeout(timer);
        this.#kill(child);
        if (this.#pending.delete(id)) reject(this.#error("PROCESS_ENDED", `did not take ${call}`));
      });
    });
  }

  /** Ends a child that gives no answer, or cannot; calls wait from now on for the next one. */
  #kill(child: ChildProcess): void {
    if (child.killed || child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    const next = new Promise<void>((resolve, reject) => {
      child.once("exit", () => {
        if (this.#up === next) reject(this.#error("PROCESS_ENDED", "is not running"));
        else resolve(this.#up);
      });
    });
    next.catch(() => undefined);
    this.#up = next;
  }

  #receive(raw: unknown): void {
    const event = eventMessage.safeParse(raw);
    if (event.success) {
      this.#options.onEvent?.(event.data.event, event.data.value);
      return;
    }
    const reply = replyMessage.safeParse(raw);
    const pending = reply.success ? this.#pending.get(reply.data.id) : undefined;
    if (!reply.success || pending === undefined) return;
    clearTimeout(pending.timer);
    this.#pending.delete(reply.data.id);
    try {
      pending.resolve(parseReply(this.#options.calls[pending.call] as { args: z.ZodType; result: z.ZodType }, pending.call, reply.data) as never);
    } catch (error) {
      pending.reject(error as ShardkeepError);
    }
  }
}

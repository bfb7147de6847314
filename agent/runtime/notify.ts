import { spawn } from "node:child_process";
import { systemClock, type Clock } from "./clock.ts";
import type { Log } from "./log.ts";

/** What a service manager is told (sd_notify(3)): assignments like `READY=1`. Never rejects. */
type Tell = (...words: readonly string[]) => Promise<void>;

/** Resolves while the process does its work; whatever it rejects with says why not. */
type Works = () => Promise<unknown>;

export interface Manager {
  readonly tell: Tell;
  /** Without a ping for so long it ends us; undefined: it wants none. */
  readonly watchdogMs: number | undefined;
  readonly clock: Clock;
}

/** How often within the time of the watchdog. */
const pings = 2;
/** Parts of the time between two pings: how long an answer is waited for, and a failed question not repeated. */
const answerPart = 2;
const againPart = 4;

/** A process as its service manager sees it. Without a manager it says nothing. */
export class Service {
  readonly #manager: Manager | undefined;
  #told: Promise<void> = Promise.resolve();
  #status = "";
  #cancel = (): void => undefined;
  #stopping = false;

  constructor(manager: Manager | undefined) {
    this.#manager = manager;
  }

  /**
   * It serves from now on. The watchdog is fed as long as `works` resolves in time, asked anew for every ping: an
   * event loop alone, beside a hung HSM, is no sign of life. A failed question is repeated sooner, so that
   * what is restarted by its own supervisor costs no restart of all.
   */
  ready(works: Works, log: Log): void {
    if (this.#manager === undefined || this.#stopping) return;
    this.#say("READY=1");
    const { watchdogMs, clock } = this.#manager;
    if (watchdogMs !== undefined) this.#feed(works, log, watchdogMs / pings, clock);
  }

  /** One line for `systemctl status`. */
  status(text: string): void {
    if (text === this.#status || this.#stopping) return;
    this.#status = text;
    this.#say(statusWord(text));
  }

  /** The end has begun; `why`, if it is not by request. Resolves when it is told. */
  stopping(why?: string): Promise<void> {
    this.#stopping = true;
    this.#cancel();
    this.#say("STOPPING=1", ...(why === undefined ? [] : [statusWord(why)]));
    return this.#told;
  }

  /** One after the other: the last status is the last that is told. */
  #say(...words: readonly string[]): void {
    const manager = this.#manager;
    if (manager !== undefined) this.#told = this.#told.then(() => manager.tell(...words));
  }

  #feed(works: Works, log: Log, everyMs: number, clock: Clock): void {
    const ask = (): void => {
      const began = clock.now();
      within(works, everyMs / answerPart, clock).then(
        () => {
          if (!this.#stopping) this.#say("WATCHDOG=1");
          return everyMs - (clock.now() - began);
        },
        (error: unknown) => {
          log.warn("watchdog not fed", { error: String(error) });
          return everyMs / againPart;
        },
      ).then((waitMs) => { if (!this.#stopping) this.#cancel = clock.after(waitMs, ask); }, () => undefined);
    };
    this.#cancel = clock.after(everyMs, ask);
  }
}

/** For whoever was started by nobody that listens. */
export const unattended = new Service(undefined);

/** An assignment ends at its line's end: text from elsewhere must not make another. */
function statusWord(text: string): string {
  return `STATUS=${text.replace(/\s+/g, " ").trim()}`;
}

function within(works: Works, ms: number, clock: Clock): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(ms, () => { reject(new Error(`no answer in ${ms} ms`)); });
    works().then(resolve, reject).finally(cancel);
  });
}

/** sd_watchdog_enabled(3): microseconds, and for another process if WATCHDOG_PID says so. */
export function watchdogMsOf(env: NodeJS.ProcessEnv, pid: number): number | undefined {
  const { WATCHDOG_USEC: microseconds = "", WATCHDOG_PID: of = String(pid) } = env;
  return of === String(pid) && /^[1-9]\d{0,15}$/.test(microseconds) ? Number(microseconds) / 1000 : undefined;
}

/** Who started the process `pid`, by its environment. */
export function serviceOf(env: NodeJS.ProcessEnv, pid: number): Service {
  return new Service(env["NOTIFY_SOCKET"] === undefined ? undefined : { tell: systemdNotify, watchdogMs: watchdogMsOf(env, pid), clock: systemClock });
}

/** systemd-notify waits five seconds for the manager. */
const notifyMs = 8000;

/**
 * Node has no datagram sockets of Unix, so systemd's own program sends it (platform.md §6). Without `--no-block`: it
 * then lives until systemd has read, and a message of a process that has ended is of no unit.
 */
function systemdNotify(...words: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    const child = spawn("systemd-notify", words, { stdio: ["ignore", "ignore", "inherit"], timeout: notifyMs, killSignal: "SIGKILL" });
    child.once("error", (error) => {
      process.stderr.write(`systemd-notify: ${error.message}\n`);
      resolve();
    });
    child.once("close", () => { resolve(); });
  });
}

import { z } from "zod";
import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import { getJson, putJson } from "./json.ts";
import type { Store } from "./store.ts";

/** What waits, and who keeps it. */
interface Keeper {
  readonly ref: { readonly hash: string };
  readonly awaited: { readonly version: number; readonly hash: string; readonly delayMs: number } | undefined;
  /** Called whenever `awaited` has changed. */
  onAwaited(handler: () => void): void;
  /** Brings it into force, if it still waits. */
  ripen(hash: string): Promise<void>;
}

interface Waiting { readonly awaited: NonNullable<Keeper["awaited"]>; ranMs: number; stepMs: number; since: number }

/** Where the time that was counted rests; of another version than the one that waits it says nothing. */
const key = "recovery-ran";
const ran = z.strictObject({ hash: z.string(), ms: z.int().min(0) });

/** Alarmed, and made durable, at every tenth of the delay, and at least so often. */
const mostStepMs = 10 * 60_000;

/**
 * Counts a party's own running time until a version under the recovery key comes into force, and alarms throughout
 * (protocol.md §2). Only a step that was waited for to its end counts, and no more than that step: so neither a time
 * switched off nor one stopped counts, and a crash costs at most one step.
 */
export class RecoveryWait {
  readonly #keeper: Keeper;
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #log: Log;
  #waiting: Waiting | undefined;
  #cancel: () => void = () => undefined;

  constructor(keeper: Keeper, { store, clock, log }: { readonly store: Store; readonly clock: Clock; readonly log: Log }) {
    this.#keeper = keeper;
    this.#store = store;
    this.#clock = clock;
    this.#log = log;
    keeper.onAwaited(() => { this.#look(); });
  }

  /** Goes on with what a life before has left. */
  start(): void {
    this.#look();
  }

  stop(): void {
    this.#cancel();
    this.#waiting = undefined;
  }

  /** What waits, and how long it has still to wait. */
  get state(): { readonly version: number; readonly hash: string; readonly leftMs: number } | undefined {
    if (this.#waiting === undefined) return undefined;
    const { awaited: { version, hash, delayMs }, ranMs, stepMs, since } = this.#waiting;
    const now = Math.min(this.#clock.now() - since, stepMs);
    return { version, hash, leftMs: Math.max(0, Math.ceil(delayMs - ranMs - now)) };
  }

  #look(): void {
    const { awaited } = this.#keeper;
    if (awaited?.hash === this.#waiting?.awaited.hash) return;
    this.#cancel();
    if (this.#waiting !== undefined) {
      const { version, hash } = this.#waiting.awaited;
      if (this.#keeper.ref.hash === hash) this.#log.warn("site recovery in force", { version });
      else this.#log.warn("site recovery vetoed", { version });
    }
    this.#waiting = undefined;
    if (awaited === undefined) return;
    const known = getJson(this.#store, key, ran);
    this.#next({ awaited, ranMs: known?.hash === awaited.hash ? known.ms : 0, stepMs: 0, since: 0 });
  }

  #next(waiting: Waiting): void {
    const { delayMs } = waiting.awaited;
    const step = Math.min(Math.ceil(delayMs / 10), mostStepMs);
    const left = delayMs - waiting.ranMs;
    waiting.stepMs = left > 0 ? Math.min(step, left) : step;
    waiting.since = this.#clock.now();
    this.#waiting = waiting;
    this.#log.error("site recovery pending", this.state);
    this.#cancel = this.#clock.after(waiting.stepMs, () => {
      this.#ended(waiting).catch((error: unknown) => { this.#log.error("site recovery not kept", { error: String(error) }); }).finally(() => {
        if (this.#waiting === waiting) this.#next(waiting);
      });
    });
  }

  async #ended(waiting: Waiting): Promise<void> {
    const { hash, delayMs } = waiting.awaited;
    waiting.ranMs = Math.min(delayMs, waiting.ranMs + waiting.stepMs);
    waiting.stepMs = 0;
    if (waiting.ranMs < delayMs) await this.#store.commit([putJson(key, { hash, ms: waiting.ranMs })]);
    else await this.#keeper.ripen(hash);
  }
}

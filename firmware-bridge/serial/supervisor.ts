import { sleep, type Clock } from "../../agent/runtime/clock.ts";

/** Something that works until its line is gone. */
export interface Connected {
  readonly closed: Promise<void>;
  close(): Promise<void>;
}

export interface LineSupervisorOptions<C extends Connected> {
  /** Makes a new connection each time; rejects when there is nothing to connect to. */
  readonly connect: () => Promise<C>;
  readonly onUp: (connection: C) => void;
  /** With the reason when a try failed; without when a connection ended. */
  readonly onDown: (reason?: unknown) => void;
  readonly clock: Clock;
}

const againMs = { first: 250, most: 10_000 } as const;

/** Keeps one connection alive by making new ones, with exponential back-off while there is nothing to connect to. */
export class LineSupervisor<C extends Connected> {
  readonly #options: LineSupervisorOptions<C>;
  #current: C | undefined;
  #stopped = false;

  constructor(options: LineSupervisorOptions<C>) {
    this.#options = options;
  }

  start(): void {
    void this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#current?.close();
  }

  async #run(): Promise<void> {
    const { connect, onUp, onDown, clock } = this.#options;
    let wait: number = againMs.first;
    while (!this.#stopped) {
      try {
        this.#current = await connect();
        wait = againMs.first;
        onUp(this.#current);
        // Stopped while it connected: stop() had nothing to close yet.
        if (this.#isStopped()) await this.#current.close();
        await this.#current.closed;
        onDown();
      } catch (reason) {
        onDown(reason);
      }
      this.#current = undefined;
      await sleep(clock, wait);
      wait = Math.min(wait * 2, againMs.most);
    }
  }

  #isStopped(): boolean {
    return this.#stopped;
  }
}

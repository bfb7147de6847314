import type { EnclaveKeys } from "../protocol/request.ts";
import { ShardkeepError } from "../runtime/errors.ts";
import type { Log } from "../runtime/log.ts";
import { Supervised } from "../runtime/supervisor.ts";
import { enclaveCalls, type CreateArgs, type CreateResult, type Enclave, type OperateArgs, type OperateResult, type PayloadArgs } from "./calls.ts";
import { enclavePermission } from "./permission.ts";

export type { CreateArgs, CreateResult, Enclave, OperateArgs, OperateResult, PayloadArgs, SealedShard } from "./calls.ts";

/** An enclave as a child process (design §9): no core dump, Node's permission model, never started again. */
export class EnclaveProcess implements Enclave {
  readonly keys: EnclaveKeys;
  readonly #child: Supervised<typeof enclaveCalls>;
  readonly #isDone: () => boolean;

  private constructor(child: Supervised<typeof enclaveCalls>, keys: EnclaveKeys, isDone: () => boolean) {
    this.#child = child;
    this.keys = keys;
    this.#isDone = isDone;
  }

  /** Starts one from its compiled `entry` file and waits for its keys. Throws PROCESS_* (retryable). */
  static async start(entry: URL, log: Log): Promise<EnclaveProcess> {
    let done = false;
    const child = new Supervised({
      name: "enclave", entry, args: [], calls: enclaveCalls, restart: false, noCore: true, nodeArgs: enclavePermission(entry), log,
      onEvent: (event) => { if (event === "done") done = true; },
    });
    try {
      await child.start();
      return new EnclaveProcess(child, await child.call("keys", {}), () => done);
    } catch (error) {
      await child.stop(0);
      throw error;
    }
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** It has said that all its secrets are wiped; it says so before its result arrives. */
  get done(): boolean {
    return this.#isDone();
  }

  async payload(args: PayloadArgs): Promise<void> {
    await this.#child.call("payload", args);
  }

  create(args: CreateArgs): Promise<CreateResult> {
    return this.#child.call("create", args);
  }

  operate(args: OperateArgs): Promise<OperateResult> {
    return this.#child.call("operate", args);
  }

  /** At once: a process that has wiped has nothing to finish, and one that has not must not go on. */
  end(): Promise<void> {
    return this.#child.stop(0);
  }
}

/** Keeps one enclave started ahead, so that its start is not waited for. */
export class EnclavePool {
  readonly #start: () => Promise<Enclave>;
  #spare: Promise<Enclave> | undefined;
  #closed = false;

  constructor(start: () => Promise<Enclave>) {
    this.#start = start;
  }

  /** Starts the spare if there is none. */
  warm(): void {
    if (this.#spare !== undefined || this.#closed) return;
    const spare = this.#start();
    this.#spare = spare;
    // Whoever takes one that did not start is told; where nobody has, the next one gets a new try.
    spare.catch(() => { if (this.#spare === spare) this.#spare = undefined; });
  }

  /** The spare, which now is the caller's to end; another is started in its place. Throws what `start` throws. */
  async take(): Promise<Enclave> {
    if (this.#closed) throw new ShardkeepError("PROCESS_STOPPED", "the enclaves are stopped");
    const taken = this.#spare ?? this.#start();
    this.#spare = undefined;
    this.warm();
    return await taken;
  }

  /** Ends the spare, and starts none any more. */
  async close(): Promise<void> {
    this.#closed = true;
    const spare = await this.#spare?.catch(() => undefined);
    await spare?.end();
  }
}

import type { ShardkeepError } from "../runtime/errors.ts";

export type StateHandler = (state: "up" | "down", reason?: string, refusal?: ShardkeepError) => void;

/** What the logic asks of a broker connection; a simulation brings its own. */
export interface Transport {
  /**
   * Only while up, else NOT_CONNECTED: nothing is queued, a late message is a wrong one. With qos 1 it
   * resolves when the broker has taken the message, and rejects if the connection ends before: the
   * message may then have arrived or not. A broker may deliver a message twice; receivers drop what
   * they have seen by the message's own id.
   */
  publish(topic: string, payload: Uint8Array, options?: { readonly qos?: 0 | 1; readonly retain?: boolean }): Promise<void>;
  /** For this and every later connection. Resolves once a broker has granted all; rejects with RIGHTS_REFUSED. */
  subscribe(filters: readonly string[]): Promise<void>;
  onMessage(handler: (topic: string, payload: Uint8Array, retained: boolean) => void): void;
  /**
   * `up` when the subscriptions stand: what is asked from then on is also heard. `reason` is for people; `refusal` is there
   * where the broker has said no, for sure, and not just been silent or gone.
   */
  onState(handler: StateHandler): void;
  readonly up: boolean;
  /** Leaves in good order: the will is not published. */
  close(): Promise<void>;
}

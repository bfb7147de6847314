import { z } from "zod";
import { admit } from "../rules/limit.ts";
import { Refusal } from "../rules/refusal.ts";
import { Turns } from "../runtime/turns.ts";
import { getJson, putJson } from "../store/json.ts";
import type { BoxParts } from "./parts.ts";

const limitState = z.strictObject({ windowMs: z.number().min(0), count: z.int().min(0) });

/** How often a rule's limit was used here, by key and operation; durable, one count at a time. */
export class Limits {
  readonly #parts: Pick<BoxParts, "store" | "clock">;
  readonly #lastCounted = new Map<string, number>();
  readonly #startedAt: number;
  readonly #turns = new Turns();

  constructor(parts: Pick<BoxParts, "store" | "clock">) {
    this.#parts = parts;
    this.#startedAt = parts.clock.now();
  }

  /** Counts one use, durably before it is answered (protocol.md §3). Throws RATE_LIMITED. */
  count(key: string, operation: string, limit: string): Promise<void> {
    return this.#turns.run(() => this.#count(key, operation, limit));
  }

  async #count(key: string, operation: string, limit: string): Promise<void> {
    const { store, clock } = this.#parts;
    const name = `limit/${key}/${operation}`;
    const now = clock.now();
    const state = admit(limit, getJson(store, name, limitState), now - (this.#lastCounted.get(name) ?? this.#startedAt));
    if (state === null) throw new Refusal("RATE_LIMITED", `the rule allows ${limit} with key ${key}`, { retryable: true });
    this.#lastCounted.set(name, now);
    await store.commit([putJson(name, state)]);
  }
}

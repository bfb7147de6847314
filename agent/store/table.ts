import type { z } from "zod";
import { equalBytes } from "../runtime/secrets.ts";
import { parseJson, putJson } from "./json.ts";
import type { Change, Store } from "./store.ts";

/**
 * The values of one schema under one prefix, each parsed once: again only when the store gives other bytes than it was
 * parsed from or written as. So nothing is to be seen here before it is durable. What is given out is shared: nobody changes it.
 */
export class JsonTable<S extends z.ZodType> {
  readonly #store: Store;
  readonly #prefix: string;
  readonly #schema: S;
  readonly #known = new Map<string, { readonly bytes: Uint8Array; readonly value: z.infer<S> }>();
  #list: { readonly commit: number; readonly values: readonly z.infer<S>[] } | undefined;

  constructor(store: Store, prefix: string, schema: S) {
    this.#store = store;
    this.#prefix = prefix;
    this.#schema = schema;
  }

  /** Throws STORED_VALUE_INVALID. */
  get(name: string): z.infer<S> | undefined {
    const key = this.#prefix + name;
    const bytes = this.#store.get(key);
    if (bytes !== undefined) return this.#parse(key, bytes);
    this.#known.delete(key);
    return undefined;
  }

  /** All, in code unit order of their names; the very same list until one of them changes. Throws STORED_VALUE_INVALID. */
  all(): readonly z.infer<S>[] {
    const { commit } = this.#store.head;
    if (this.#list?.commit !== commit) {
      const entries = this.#store.entries(this.#prefix);
      const values = entries.map(([key, bytes]) => this.#parse(key, bytes));
      const there = new Set(entries.map(([key]) => key));
      for (const key of this.#known.keys()) if (!there.has(key)) this.#known.delete(key);
      const last = this.#list?.values ?? [];
      const same = last.length === values.length && values.every((value, i) => value === last[i]);
      this.#list = { commit, values: same ? last : values };
    }
    return this.#list.values;
  }

  put(name: string, value: z.infer<S>): Change {
    const key = this.#prefix + name;
    const change = putJson(key, value);
    this.#known.set(key, { bytes: change.value, value });
    return change;
  }

  del(name: string): Change {
    return { del: this.#prefix + name };
  }

  #parse(key: string, bytes: Uint8Array): z.infer<S> {
    const known = this.#known.get(key);
    if (known !== undefined && equalBytes(known.bytes, bytes)) return known.value;
    const value = parseJson(key, bytes, this.#schema);
    this.#known.set(key, { bytes, value });
    return value;
  }
}

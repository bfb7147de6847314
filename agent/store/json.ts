import type { z } from "zod";
import { ShardkeepError } from "../runtime/errors.ts";
import { utf8 } from "../runtime/encoding.ts";
import type { Change, Store } from "./store.ts";

export class StoredValueError extends ShardkeepError<"STORED_VALUE_INVALID"> {}

/** Public values rest as JSON; what is secret in them is sealed before it comes here. */
export function putJson(key: string, value: unknown): Extract<Change, { put: string }> {
  return { put: key, value: utf8(JSON.stringify(value)) };
}

/** Throws STORED_VALUE_INVALID. */
export function parseJson<S extends z.ZodType>(key: string, bytes: Uint8Array, schema: S): z.infer<S> {
  const parsed = schema.safeParse(JSON.parse(new TextDecoder().decode(bytes)));
  if (!parsed.success) throw new StoredValueError("STORED_VALUE_INVALID", `the store's ${key} is not of this version's form`, { cause: parsed.error });
  return parsed.data;
}

export function getJson<S extends z.ZodType>(store: Store, key: string, schema: S): z.infer<S> | undefined {
  const bytes = store.get(key);
  return bytes === undefined ? undefined : parseJson(key, bytes, schema);
}

export function entriesJson<S extends z.ZodType>(store: Store, prefix: string, schema: S): (readonly [string, z.infer<S>])[] {
  return store.entries(prefix).map(([key, bytes]) => [key, parseJson(key, bytes, schema)] as const);
}

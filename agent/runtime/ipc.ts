import { z } from "zod";
import { fromWire, ShardkeepError, toWire, type WireError } from "./errors.ts";

/**
 * Calls between a supervisor and its child over Node's IPC channel (`serialization: "advanced"`).
 * Both sides parse everything by the same schemas: a child that has gone wrong cannot make its parent
 * go wrong. Neither side may be handed a secret in clear: a serialised copy cannot be wiped.
 */
export interface CallSchema {
  readonly args: z.ZodType;
  readonly result: z.ZodType;
}
export type Calls = Readonly<Record<string, CallSchema>>;
export type Args<C extends Calls, K extends keyof C> = z.infer<C[K]["args"]>;
export type Result<C extends Calls, K extends keyof C> = z.infer<C[K]["result"]>;
export type Handlers<C extends Calls> = {
  readonly [K in keyof C]: (args: Args<C, K>) => Result<C, K> | Promise<Result<C, K>>;
};

/** Raw bytes over IPC, up to `max` long. */
export const bytes = (max: number) =>
  z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length <= max, `bytes, at most ${max}`);
/** Raw bytes of exactly `length`. */
export const exactly = (length: number) =>
  z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length === length, `exactly ${length} bytes`);

/** What the child sends of its own accord. */
export const eventMessage = z.object({ event: z.string(), value: z.unknown() });
export const requestMessage = z.object({ id: z.number().int(), call: z.string(), args: z.unknown() });
export const replyMessage = z.object({
  id: z.number().int(),
  value: z.unknown().optional(),
  error: z.object({
    code: z.string(), message: z.string(), remedy: z.string().optional(), retryable: z.boolean().optional(),
  }).optional(),
});

/** First line of every child: it never outlives its parent's channel. */
export function exitWithParent(): void {
  process.on("disconnect", () => process.exit(0));
}

/** Says something to the parent without being asked. `ready` ends the supervisor's wait for the start. */
export function tellParent(event: string, value: unknown = null): void {
  // A parent that dies this very moment hears nothing; {@link exitWithParent} sees to the rest.
  if (process.connected) process.send?.({ event, value }, undefined, undefined, () => undefined);
}

/** Answers the parent's calls with `handlers`; anything malformed is refused by name. */
export function serveParent<C extends Calls>(calls: C, handlers: Handlers<C>): void {
  process.on("message", (raw: unknown) => {
    const request = requestMessage.safeParse(raw);
    if (!request.success) return;
    const { id, call, args } = request.data;
    void answer(calls, handlers, call, args).then(
      (value) => { if (process.connected) process.send?.({ id, value }); },
      (error: unknown) => { if (process.connected) process.send?.({ id, error: toWire(error) }); },
    );
  });
}

async function answer<C extends Calls>(calls: C, handlers: Handlers<C>, call: string, args: unknown): Promise<unknown> {
  const schema = Object.hasOwn(calls, call) ? calls[call] : undefined;
  const handler = handlers[call];
  if (schema === undefined || handler === undefined) throw new ShardkeepError("IPC_UNKNOWN_CALL", `no call named ${call}`);
  const parsed = schema.args.safeParse(args);
  if (!parsed.success) throw new ShardkeepError("IPC_BAD_ARGUMENTS", `${call}: ${z.prettifyError(parsed.error)}`);
  return await handler(parsed.data as Args<C, string>);
}

/** Parses a reply for `call`; throws the child's error or IPC_BAD_REPLY. */
export function parseReply(schema: CallSchema, call: string, reply: z.infer<typeof replyMessage>): unknown {
  if (reply.error !== undefined) throw fromWire(reply.error as WireError);
  const value = schema.result.safeParse(reply.value);
  if (!value.success) throw new ShardkeepError("IPC_BAD_REPLY", `${call}: ${z.prettifyError(value.error)}`);
  return value.data;
}

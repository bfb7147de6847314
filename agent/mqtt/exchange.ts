import { z } from "zod";
import type { Clock } from "../runtime/clock.ts";
import { toBase64url } from "../runtime/encoding.ts";
import { fromWire, isNamed, ShardkeepError, toWire } from "../runtime/errors.ts";
import type { Log } from "../runtime/log.ts";
import type { Random } from "../runtime/random.ts";
import { readEnvelope, writeEnvelope, type Envelope, type EnvelopeBody, type Reader } from "../protocol/envelope.ts";
import type { events } from "../protocol/heartbeat.ts";
import type { RequestSchema, RequestTable } from "../protocol/messages.ts";
import type { NonceBook } from "../protocol/nonces.ts";
import type { Session } from "../protocol/session.ts";
import type { Transport } from "./connection.ts";
import { SeenMessages } from "./seen.ts";

export class ExchangeError extends ShardkeepError<"NO_ANSWER" | "BAD_ANSWER" | "NOT_FRESH" | "UNKNOWN_REQUEST" | "BAD_REQUEST"> {}

export interface ExchangeOptions {
  readonly transport: Transport;
  readonly session: Session;
  readonly reader: Reader;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Our own nonces: what is bound to one of them was made recently, for us. */
  readonly nonces: NonceBook;
  /** The latest nonce of a peer, if we have one. */
  readonly freshOf: (peer: string) => string | undefined;
  readonly topicFor: (peer: string, kind: "request" | "response") => string;
}

export interface Incoming<Part> {
  readonly from: string;
  /** The boot of the sender's session. */
  readonly boot: string;
  readonly deadlineMs: number;
  readonly part: (value: Part) => void;
}

type Data<S> = S extends z.ZodType ? z.infer<S> : never;
type PartOf<S extends RequestSchema> = S extends { readonly part: infer P } ? Data<P> : never;
export type RequestHandlers<T extends RequestTable> = {
  readonly [K in keyof T]: (data: Data<T[K]["request"]>, call: Incoming<PartOf<T[K]>>) => Promise<Data<T[K]["response"]>>;
};
type AnyHandler = (data: unknown, call: Incoming<unknown>) => Promise<unknown>;
export type EventName = keyof typeof events;
export interface EventMeta { readonly from: string; readonly boot: string; readonly fresh: boolean }
type Outcome = { readonly value: unknown } | { readonly error: ShardkeepError };

const answerData = z.union([
  z.strictObject({ value: z.json() }),
  z.strictObject({ error: z.strictObject({ code: z.string().max(64), message: z.string().max(2000), remedy: z.string().max(2000).optional(), retryable: z.boolean().optional() }) }),
]);

interface Pending {
  readonly to: string;
  readonly onPart: (value: unknown) => void;
  readonly settle: (outcome: Outcome) => void;
}

/** An unanswered request is published again after this long: the other side drops or repeats, never redoes. */
const resendMs = 3000;
const defaultDeadlineMs = 5000;

/**
 * Requests and answers over publish/subscribe. Every message is signed, addressed, fresh by a nonce of
 * its receiver, and acted on once; what cannot be delivered ends in a named error by its deadline.
 */
export class Exchange {
  readonly #o: ExchangeOptions;
  readonly #seen: SeenMessages;
  readonly #pending = new Map<string, Pending>();
  #table: RequestTable = {};
  #handlers: Readonly<Record<string, AnyHandler>> = {};
  #onEvent: (name: string, data: unknown, meta: EventMeta) => void = () => undefined;

  constructor(options: ExchangeOptions) {
    this.#o = options;
    this.#seen = new SeenMessages(options.clock);
    options.transport.onMessage((_topic, payload) => { this.#receive(payload); });
  }

  /** Answers the requests of `table`; the handlers themselves judge who may ask. */
  serve<T extends RequestTable>(table: T, handlers: RequestHandlers<T>): void {
    this.#table = table;
    this.#handlers = handlers as unknown as Readonly<Record<string, AnyHandler>>;
  }

  onEvent(handler: (name: string, data: unknown, meta: EventMeta) => void): void {
    this.#onEvent = handler;
  }

  /** Publishes an event to everybody who may read `topic`. `to` gives it freshness for one receiver. */
  async tell(topic: string, name: EventName, data: unknown, options: { readonly to?: string; readonly retain?: boolean; readonly qos?: 0 | 1 } = {}): Promise<void> {
    const fresh = options.to === undefined ? undefined : this.#o.freshOf(options.to);
    const payload = await this.write(options.to ?? "*", `event/${name}`, data, fresh === undefined ? {} : { fresh });
    await this.#o.transport.publish(topic, payload, { qos: options.qos ?? 0, retain: options.retain ?? false });
  }

  /** Signs one message without sending it: for a will. */
  write(to: string, type: string, data: unknown, extra: Partial<EnvelopeBody> = {}): Promise<Uint8Array> {
    return writeEnvelope(this.#o.session, { to, type, id: toBase64url(this.#o.random.bytes(16)), data: data as EnvelopeBody["data"], ...extra });
  }

  /** Sends a request and waits for its answer. Rejects with the other side's error, or NO_ANSWER. */
  async request<T extends RequestTable, K extends keyof T & string>(
    table: T, name: K, to: string, data: Data<T[K]["request"]>,
    options: { readonly deadlineMs?: number; readonly onPart?: (value: PartOf<T[K]>) => void } = {},
  ): Promise<Data<T[K]["response"]>> {
    const schema: RequestSchema = table[name] as T[K];
    const deadlineMs = options.deadlineMs ?? defaultDeadlineMs;
    const fresh = schema.fresh === false ? undefined : this.#o.freshOf(to);
    if (schema.fresh !== false && fresh === undefined) throw new ExchangeError("NO_ANSWER", `${to} has not been heard yet`, { retryable: true });
    const id = toBase64url(this.#o.random.bytes(16));
    const payload = await this.write(to, `request/${name}`, data, { id, deadlineMs, ...(fresh === undefined ? {} : { fresh }) });
    const onPart = (value: unknown): void => {
      const part = schema.part?.safeParse(value);
      if (part?.success === true) options.onPart?.(part.data as PartOf<T[K]>);
    };
    const outcome = await this.#await(id, { to, name, payload, deadlineMs, onPart });
    if ("error" in outcome) throw outcome.error;
    const answer = schema.response.safeParse(outcome.value);
    if (!answer.success) throw new ExchangeError("BAD_ANSWER", `${to} answered ${name} with a bad field`, { cause: answer.error });
    return answer.data as Data<T[K]["response"]>;
  }

  async #await(id: string, sent: { to: string; name: string; payload: Uint8Array; deadlineMs: number; onPart: (value: unknown) => void }): Promise<Outcome> {
    const { to, name, payload, deadlineMs, onPart } = sent;
    const { clock, transport, topicFor, log } = this.#o;
    let cancelResend: () => void = () => undefined;
    let cancelDeadline: () => void = () => undefined;
    const outcome = new Promise<Outcome>((settle) => {
      // The matcher stands before the request leaves.
      this.#pending.set(id, { to, onPart, settle });
      cancelDeadline = clock.after(deadlineMs, () => {
        settle({ error: new ExchangeError("NO_ANSWER", `${to} gave no answer to ${name} in ${deadlineMs} ms`, { retryable: true }) });
      });
      const send = (): void => {
        cancelResend = clock.after(resendMs, send);
        transport.publish(topicFor(to, "request"), payload, { qos: 1 }).catch((error: unknown) => {
          log.warn("request not sent", { to, request: name, error: String(error) });
        });
      };
      send();
    });
    try {
      return await outcome;
    } finally {
      cancelResend();
      cancelDeadline();
      this.#pending.delete(id);
    }
  }

  #receive(payload: Uint8Array): void {
    let message: Envelope;
    try {
      message = readEnvelope(payload, this.#o.reader);
    } catch (error) {
      this.#o.log.warn("message dropped", { error: String(error) });
      return;
    }
    const { body, cert } = message;
    if (body.type.startsWith("response/")) {
      this.#answered(cert.by, body);
      return;
    }
    const name = `${cert.by} ${body.id}`;
    const seen = this.#seen.note(name);
    if (seen.state === "again") {
      if (seen.answer !== undefined) this.#publishAnswer(cert.by, seen.answer);
      return;
    }
    if (seen.state === "full") {
      this.#o.log.error("too many messages", { from: cert.by });
      return;
    }
    const fresh = body.fresh !== undefined && this.#o.nonces.honours(body.fresh);
    if (body.type.startsWith("event/")) this.#onEvent(body.type.slice("event/".length), body.data, { from: cert.by, boot: cert.body.boot, fresh });
    else if (body.type.startsWith("request/")) {
      this.#serve(name, cert.by, cert.body.boot, body, fresh).catch((error: unknown) => { this.#o.log.error("answer not written", { from: cert.by, error: String(error) }); });
    }
  }

  #answered(from: string, body: EnvelopeBody): void {
    const pending = body.re === undefined ? undefined : this.#pending.get(body.re);
    if (pending?.to !== from) return; // late, or for another session of this identity
    if (body.more === true) {
      pending.onPart(body.data);
      return;
    }
    const answer = answerData.safeParse(body.data);
    if (!answer.success) {
      pending.settle({ error: new ExchangeError("BAD_ANSWER", `${from} sent a malformed answer`, { cause: answer.error }) });
    } else if ("error" in answer.data) {
      const { code, message, remedy, retryable } = answer.data.error;
      pending.settle({ error: fromWire({ code, message, ...(remedy === undefined ? {} : { remedy }), ...(retryable === undefined ? {} : { retryable }) }) });
    } else {
      pending.settle({ value: answer.data.value });
    }
  }

  async #serve(name: string, from: string, boot: string, body: EnvelopeBody, fresh: boolean): Promise<void> {
    let data: unknown;
    try {
      data = { value: await this.#handle(from, boot, body, fresh) };
    } catch (error) {
      if (!(isNamed(error))) this.#o.log.error("request failed", { from, request: body.type, error: String(error) });
      data = { error: toWire(error) };
    }
    const answer = await this.#writeAnswer(from, body, data, false);
    this.#seen.keepAnswer(name, answer);
    this.#publishAnswer(from, answer);
  }

  async #handle(from: string, boot: string, body: EnvelopeBody, fresh: boolean): Promise<unknown> {
    const request = body.type.slice("request/".length);
    const schema = Object.hasOwn(this.#table, request) ? this.#table[request] : undefined;
    const handler = this.#handlers[request];
    if (schema === undefined || handler === undefined) throw new ExchangeError("UNKNOWN_REQUEST", `${this.#o.reader.self} knows no request ${request}`);
    if (!fresh && schema.fresh !== false) throw new ExchangeError("NOT_FRESH", `${request} carries no recent nonce of ${this.#o.reader.self}`, { retryable: true });
    const parsed = schema.request.safeParse(body.data);
    if (!parsed.success) throw new ExchangeError("BAD_REQUEST", `${request}: ${z.prettifyError(parsed.error)}`);
    const part = (value: unknown): void => {
      void this.#writeAnswer(from, body, value, true).then((payload) => { this.#publishAnswer(from, payload); });
    };
    return await handler(parsed.data, { from, boot, deadlineMs: body.deadlineMs ?? defaultDeadlineMs, part });
  }

  #writeAnswer(to: string, request: EnvelopeBody, data: unknown, more: boolean): Promise<Uint8Array> {
    const type = request.type.replace("request/", "response/");
    return this.write(to, type, data, { re: request.id, ...(more ? { more: true } : {}) });
  }

  #publishAnswer(to: string, answer: Uint8Array): void {
    this.#o.transport.publish(this.#o.topicFor(to, "response"), answer, { qos: 1 }).catch((error: unknown) => {
      this.#o.log.warn("answer not sent", { to, error: String(error) });
    });
  }
}

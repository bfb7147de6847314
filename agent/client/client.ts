import type { z } from "zod";
import { Exchange } from "../mqtt/exchange.ts";
import { connect, type Transport } from "../mqtt/connection.ts";
import { CertificateCache, type Reader } from "../protocol/envelope.ts";
import type { Signer } from "../protocol/es256.ts";
import { coordinatorHeartbeat } from "../protocol/heartbeat.ts";
import { clientRequests } from "../protocol/messages.ts";
import { NonceBook } from "../protocol/nonces.ts";
import { beginSession, type Session } from "../protocol/session.ts";
import type { SiteRecord } from "../protocol/site-record.ts";
import { topic } from "../protocol/topics.ts";
import type { Clock } from "../runtime/clock.ts";
import { toBase64url } from "../runtime/encoding.ts";
import { hasCode, ShardkeepError } from "../runtime/errors.ts";
import type { Log } from "../runtime/log.ts";
import type { Random } from "../runtime/random.ts";
import type { ClientConfig, ClientIdentity } from "./config.ts";
import { ClientError } from "./errors.ts";
import type { KeyUser } from "./files.ts";
import { closableClock, type ClosableClock } from "./closable-clock.ts";
import { runRecordChange, type RecordChange } from "./change-record.ts";
import { runRecover, type RecoverAsk, type Recovered } from "./recover.ts";
import { runReshard, type ReshardAsk, type Resharded } from "./reshard.ts";
import { bootOfHello, SiteView } from "./site-view.ts";
import { wholeStatus, type Status } from "./status.ts";
import { runUse, type Ask, type Outcome, type UseOptions, type UseParts } from "./use.ts";

type Requests = typeof clientRequests;
type Data<S> = S extends z.ZodType ? z.infer<S> : never;
type PartOf<S> = S extends { readonly part: infer P } ? Data<P> : never;
/** Asks the coordinator; rejects with its error, or NO_ANSWER after `deadlineMs` (default 5000). */
export type Request = <K extends keyof Requests>(
  name: K, data: Data<Requests[K]["request"]>,
  options?: { readonly deadlineMs?: number; readonly onPart?: (part: PartOf<Requests[K]>) => void },
) => Promise<Data<Requests[K]["response"]>>;

export interface ClientParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

const connectMs = 10_000;
const helloMs = 10_000;

/** Connects to the broker and greets the coordinator. Rejects with BROKER_UNREACHABLE, BROKER_REFUSED, CERTIFICATE_REFUSED, NO_ANSWER, RECORD_FORGED. */
export async function connectClient({ config, tls, signer }: ClientIdentity, parts: ClientParts): Promise<Client> {
  // One identity, many commands side by side: the certificate says who, the suffix tells them apart (design §5).
  const clientId = `${config.client}.${Buffer.from(parts.random.bytes(4)).toString("hex")}`;
  const transport = connect({ url: config.broker, tls, clientId, log: parts.log, random: parts.random });
  try {
    return await greetedClient(config, signer, transport, parts);
  } catch (error) {
    await transport.close();
    throw error;
  }
}

/** The same over any transport. */
export async function greetedClient(config: ClientConfig, signer: Signer, transport: Transport, parts: ClientParts): Promise<Client> {
  const session = await beginSession(signer, config.site, config.client, parts.random);
  const client = new Client(config, signer, session, transport, parts);
  try {
    await client.greet();
    return client;
  } catch (error) {
    await client.close();
    throw error;
  }
}

/** A client's connection to its site: operations with keys, and an administrator's requests. */
export class Client implements KeyUser {
  readonly site: string;
  readonly config: ClientConfig;
  readonly #signer: Signer;
  readonly #transport: Transport;
  readonly #clock: ClosableClock;
  readonly #random: Random;
  readonly #view: SiteView;
  readonly #exchange: Exchange;
  readonly #reader: Reader;
  readonly #subscribed: Promise<void>;
  readonly #closed: Promise<never>;
  #close: (error: ShardkeepError) => void = () => undefined;
  /** Before the first connection only: later the broker may come to know this client again. */
  readonly #refused: Promise<never>;
  #greeting: { readonly nonce: string; boot?: string } | undefined;
  /** The coordinator's session and its latest nonce. */
  #met: { readonly boot: string; fresh: string; counter: number } | undefined;
  #down: string | undefined;

  constructor(config: ClientConfig, signer: Signer, session: Session, transport: Transport, { clock, random, log }: ClientParts) {
    const { site, client, coordinator } = config;
    this.site = site;
    this.config = config;
    this.#signer = signer;
    this.#transport = transport;
    this.#clock = closableClock(clock);
    this.#random = random;
    this.#view = new SiteView(site, config.authority, coordinator);
    this.#reader = { site, self: client, keyOf: (sender) => this.#view.keyOf(sender), certificates: new CertificateCache() };
    this.#closed = new Promise((_, reject) => { this.#close = reject; });
    this.#closed.catch(() => undefined);
    this.#exchange = new Exchange({
      transport: watched(transport, (payload) => { this.#look(payload); }),
      session, reader: this.#reader, clock: this.#clock, random, log, nonces: new NonceBook(clock, random),
      freshOf: () => this.#met?.fresh,
      topicFor: (_peer, kind) => topic({ kind: "client", client, direction: "up", what: kind }),
    });
    this.#exchange.onEvent((name, data, { from, boot }) => { if (name === "coordinator" && from === coordinator) this.#heard(boot, data); });
    this.#refused = new Promise((_, reject) => {
      transport.onState((state, reason, refusal) => {
        this.#down = state === "down" ? reason ?? "it closes the connection" : undefined;
        if (refusal !== undefined) reject(refusal);
      });
    });
    this.#refused.catch(() => undefined);
    this.#subscribed = transport.subscribe([
      topic({ kind: "client", client, direction: "down", what: "request" }),
      topic({ kind: "client", client, direction: "down", what: "response" }),
      topic({ kind: "coordinator", what: "heartbeat" }),
      topic({ kind: "site", what: "record" }),
    ]);
    this.#subscribed.catch(() => undefined); // reported by greet
  }

  /** The site record as it was last verified. */
  get record(): SiteRecord {
    const { record } = this.#view;
    if (record === undefined) throw new ClientError("RECORD_UNKNOWN", "no site record has been verified yet");
    return record;
  }

  /** Meets the coordinator: its session, a nonce of it, and the current site record, proven. */
  async greet(): Promise<void> {
    await this.#connected();
    const greeting: { readonly nonce: string; boot?: string } = { nonce: toBase64url(this.#random.bytes(16)) };
    this.#greeting = greeting;
    try {
      const { fresh } = await this.request("hello", { nonce: greeting.nonce }, { deadlineMs: helloMs });
      if (greeting.boot === undefined) throw new ClientError("COORDINATOR_CHANGED", "the coordinator greeted somebody else", { retryable: true });
      this.#met = { boot: greeting.boot, fresh, counter: 0 };
    } catch (error) {
      if (hasCode(error, "NO_ANSWER") && this.#view.wasOfferedForgery) {
        throw new ClientError("RECORD_FORGED", `a site record was offered that the authority of ${this.site} has not signed`, { cause: error, remedy: "compare `authority` in client.yaml with `shardkeep site show` at the coordinator; if they are the same, somebody is in between" });
      }
      throw error;
    } finally {
      this.#greeting = undefined;
    }
  }

  readonly request: Request = async (name, data, options) => await Promise.race([
    this.#exchange.request(clientRequests, name, this.config.coordinator, data, options), this.#closed,
  ]);

  /** Boxes, all keys and the site record, as the coordinator sees them. */
  async status(): Promise<Status> {
    return await wholeStatus(this.request);
  }

  /** One operation with a key (protocol.md §3). Rejects with the operation's error or a {@link ClientError}. */
  async use(ask: Ask, options: UseOptions = {}): Promise<Outcome> {
    return await runUse(this.#useParts, ask, options);
  }

  /** Other numbers or other holders for a key, which people approve (docs/resharding.md). Rejects likewise. */
  async reshard(ask: ReshardAsk, options: UseOptions = {}): Promise<Resharded> {
    return await runReshard(this.#useParts, ask, options);
  }

  /** Ends an attempt that can not end: people say who is gone (docs/resharding.md, RESOLVE). Rejects likewise. */
  async recover(ask: RecoverAsk, options: UseOptions = {}): Promise<Recovered> {
    return await runRecover(this.#useParts, ask, options);
  }

  /** The sealed site record's next version (protocol.md §2). Rejects likewise. */
  async changeRecord(change: RecordChange, options: UseOptions = {}): Promise<SiteRecord> {
    return await runRecordChange(this.#useParts, this.record, change, options);
  }

  get #useParts(): UseParts {
    return {
      site: this.site, client: this.config.client, signer: this.#signer, request: this.request, clock: this.#clock, random: this.#random,
      boot: () => this.#met?.boot, siteRecord: () => this.#view.ref,
    };
  }

  /** Ends the connection; what still waits rejects with CLIENT_CLOSED. */
  async close(): Promise<void> {
    this.#close(new ClientError("CLIENT_CLOSED", "the client was closed"));
    this.#clock.close();
    await this.#transport.close();
  }

  async #connected(): Promise<void> {
    let cancel: () => void = () => undefined;
    const late = new Promise<never>((_, reject) => {
      cancel = this.#clock.after(connectMs, () => {
        reject(new ShardkeepError("BROKER_UNREACHABLE", `no connection to ${this.config.broker} in ${connectMs / 1000} s: ${this.#down ?? "no answer"}`, { retryable: true, remedy: "check that the coordinator runs, the address in client.yaml, and the network" }));
      });
    });
    await Promise.race([this.#subscribed, late, this.#refused, this.#closed]).finally(cancel);
  }

  #look(payload: Uint8Array): void {
    this.#view.learn(payload);
    if (this.#greeting === undefined) return;
    const boot = bootOfHello(payload, this.#greeting.nonce, this.#reader);
    if (boot !== null) this.#greeting.boot = boot;
  }

  #heard(boot: string, data: unknown): void {
    const beat = coordinatorHeartbeat.safeParse(data);
    if (!beat.success || this.#met === undefined) return;
    const { counter, nonce } = beat.data;
    if (boot !== this.#met.boot) {
      // Restarted: what it gave us before is forgotten there.
      if (this.#greeting === undefined) this.greet().catch(() => undefined);
    } else if (counter > this.#met.counter) {
      this.#met.counter = counter;
      this.#met.fresh = nonce;
    }
  }
}

/** `transport` with every message shown to `look` before its receiver gets it. */
function watched(transport: Transport, look: (payload: Uint8Array) => void): Transport {
  return {
    publish: (name, payload, options) => transport.publish(name, payload, options),
    subscribe: (filters) => transport.subscribe(filters),
    onMessage: (handler) => {
      transport.onMessage((name, payload, retained) => {
        look(payload);
        handler(name, payload, retained);
      });
    },
    onState: (handler) => { transport.onState(handler); },
    get up() { return transport.up; },
    close: () => transport.close(),
  };
}

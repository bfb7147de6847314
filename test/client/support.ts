import { greetedClient, type Client } from "../../agent/client/client.ts";
import type { ClientConfig } from "../../agent/client/config.ts";
import type { Ask, UseOptions } from "../../agent/client/use.ts";
import { EnclaveCore } from "../../agent/enclave/core.ts";
import { Exchange, type Incoming } from "../../agent/mqtt/exchange.ts";
import { CertificateCache } from "../../agent/protocol/envelope.ts";
import { generateSigner } from "../../agent/protocol/es256.ts";
import { clientRequests, type UsePart } from "../../agent/protocol/messages.ts";
import { NonceBook } from "../../agent/protocol/nonces.ts";
import { requestDigest, type RequestFields, type Use } from "../../agent/protocol/request.ts";
import { sealResult, type SignedResult } from "../../agent/protocol/result.ts";
import { beginSession, type Session } from "../../agent/protocol/session.ts";
import { refOf, type SiteRecord, type SiteRecordBody } from "../../agent/protocol/site-record.ts";
import { signStatement } from "../../agent/protocol/statement.ts";
import { topic } from "../../agent/protocol/topics.ts";
import { toBase64url } from "../../agent/runtime/encoding.ts";
import { ShardkeepError } from "../../agent/runtime/errors.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { systemRandom } from "../../agent/runtime/random.ts";
import { MemoryHub } from "../support/memory-transport.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

export const site = "plant";
const hashOf = (fill: number): string => toBase64url(new Uint8Array(32).fill(fill));
export const nonce = (): string => toBase64url(systemRandom.bytes(16));

/** What a coordinator may do wrong; each is the honest thing by default. */
export interface Lies {
  fields: (fields: RequestFields) => RequestFields;
  /** The `enclave` of the answer. */
  answerEnclave: (keys: EnclaveCore["keys"]) => EnclaveCore["keys"];
  answer: (result: SignedResult) => SignedResult | Promise<SignedResult>;
  /** The record in the answer to hello. */
  record: (record: SiteRecord) => SiteRecord;
  helloNonce: (nonce: string) => string;
  accepts: boolean;
  answers: boolean;
  /** Whether a cancelled request is answered. */
  minds: boolean;
  /** Parts between acceptance and answer. */
  parts: readonly UsePart[];
}

/** A site with a coordinator that does what a test says: real keys, real enclave key, real exchange, in memory. */
export class FakeSite {
  readonly clock = new VirtualClock();
  readonly hub = new MemoryHub();
  readonly authority = generateSigner();
  readonly identity = generateSigner();
  readonly clientKey = generateSigner();
  readonly enclave = new EnclaveCore(systemRandom, () => undefined);
  readonly enclaveSigner = generateSigner();
  readonly lies: Lies = {
    fields: (fields) => fields, answerEnclave: (keys) => keys, answer: (result) => result, record: (record) => record, helloNonce: (given) => given,
    accepts: true, answers: true, minds: true, parts: [],
  };
  readonly uses: Use[] = [];
  readonly payloads: unknown[] = [];
  readonly cancelled: string[] = [];
  record!: SiteRecord;
  session!: Session;
  exchange!: Exchange;
  #wake: () => void = () => undefined;
  #refuse: (error: Error) => void = () => undefined;

  static async start(): Promise<FakeSite> {
    const made = new FakeSite();
    made.record = await made.signed({});
    await made.boot();
    return made;
  }

  async signed(change: Partial<SiteRecordBody>, signer = this.authority): Promise<SiteRecord> {
    return await signStatement(signer, "site-record", site, "authority", {
      version: 1, previous: null, sealed: false, authority: this.authority.publicKey, tlsAuthority: hashOf(1),
      coordinator: { id: "coordinator", key: this.identity.publicKey }, boxes: [], people: [],
      clients: [{ id: "cli", key: this.clientKey.publicKey, admin: true }], roles: [], rules: [], ...change,
    });
  }

  /** The keys that requests are bound to: our own pair, so that a test can sign as the enclave. */
  get keys(): EnclaveCore["keys"] {
    return { seal: this.enclave.keys.seal, sign: this.enclaveSigner.publicKey };
  }

  /** A life of the coordinator: a new session, nothing remembered. */
  async boot(): Promise<void> {
    this.session = await beginSession(this.identity, site, "coordinator", systemRandom);
    const nonces = new NonceBook(this.clock, systemRandom);
    const transport = this.hub.connect("coordinator");
    this.exchange = new Exchange({
      transport, session: this.session, clock: this.clock, random: systemRandom, log: silentLog, nonces,
      reader: { site, self: "coordinator", keyOf: () => this.clientKey.publicKey, certificates: new CertificateCache() },
      freshOf: () => undefined,
      topicFor: (client, what) => topic({ kind: "client", client, direction: "down", what }),
    });
    this.exchange.serve(clientRequests, {
      ...refuseAll,
      hello: ({ nonce: given }) => Promise.resolve({ nonce: this.lies.helloNonce(given), fresh: nonces.issue(), record: this.lies.record(this.record) }),
      use: ({ use }, call) => this.#use(use, call),
      payload: ({ payload }) => { this.payloads.push(payload); this.#wake(); return Promise.resolve({}); },
      cancel: ({ request }) => {
        this.cancelled.push(request);
        if (this.lies.minds) this.#refuse(new ShardkeepError("CANCELLED", "the requester took it back"));
        return Promise.resolve({});
      },
    });
    await transport.subscribe([topic({ kind: "client", client: "cli", direction: "up", what: "request" })]);
    this.issue = () => nonces.issue();
    this.off = () => transport.close();
  }

  issue: () => string = nonce;
  off: () => Promise<void> = () => Promise.resolve();

  async beat(counter: number): Promise<void> {
    await this.exchange.tell(topic({ kind: "coordinator", what: "heartbeat" }), "coordinator", { counter, nonce: this.issue(), siteRecord: refOf(this.record) });
  }

  async #use(use: Use, { part }: Incoming<UsePart>): Promise<SignedResult & { enclave: EnclaveCore["keys"] }> {
    this.uses.push(use);
    const fields = this.lies.fields({
      use, epoch: 1, attempt: 1, record: hashOf(2), enclave: this.keys, coordinator: { id: "coordinator", boot: this.session.certificate.body.boot },
      siteRecord: refOf(this.record), deadlineMs: 120_000, nonces: [{ box: "box-1", nonce: nonce() }],
    });
    const paid = new Promise<void>((resolve, reject) => { this.#wake = resolve; this.#refuse = reject; });
    paid.catch(() => undefined);
    if (this.lies.accepts) {
      part({ state: "accepted", fields, rule: { key: "payroll", resource: "**", operations: ["mac"], require: [{ role: "officer", people: 1 }], requester: "never", confirm: "none", distinctBoxes: true } });
      await paid;
    }
    for (const one of this.lies.parts) part(one);
    if (!this.lies.answers) await new Promise(() => undefined);
    const honest = await sealResult(this.enclaveSigner, site, use.body, requestDigest(fields), new TextEncoder().encode("result"));
    return { ...await this.lies.answer(honest), enclave: this.lies.answerEnclave(this.keys) };
  }

  get config(): ClientConfig {
    return {
      site, client: "cli", broker: "mqtts://localhost:8883", coordinator: "coordinator", authority: this.authority.publicKey,
      tlsKey: "tls.key", certificate: "tls.crt", ca: "ca.crt", signingKey: "signing.key",
    };
  }

  /** A greeted client; moves the clock until the greeting has ended. */
  async client(change: Partial<ClientConfig> = {}): Promise<Client> {
    return await this.finish(greetedClient({ ...this.config, ...change }, this.clientKey, this.hub.connect("cli"), { clock: this.clock, random: systemRandom, log: silentLog }));
  }

  /** Moves the clock until `promise` settles. */
  async finish<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const done = (): void => { settled = true; };
    promise.then(done, done);
    await this.clock.until(() => settled, 900_000, "the end");
    return await promise;
  }

  /** A whole use on a fresh client. */
  async use(change: Partial<Ask> = {}, options: UseOptions = {}): ReturnType<Client["use"]> {
    const client = await this.client();
    try {
      return await this.finish(client.use({ ...ask, ...change }, options));
    } finally {
      await client.close();
    }
  }
}

export const ask: Ask = { key: "payroll", operation: "mac", resource: "payroll/2026", reason: "test", payload: new TextEncoder().encode("payload") };

const refuse = (): Promise<never> => Promise.reject(new Error("not in this test"));
const refuseAll = {
  status: refuse, "key-show": refuse, "box-approve": refuse, "client-approve": refuse, "site-apply": refuse, "site-seal": refuse, "person-enrol": refuse, "person-remove": refuse, "box-retire": refuse, "box-invite": refuse, "box-invited": refuse, "box-uninvite": refuse, "client-remove": refuse,
  "record-change": refuse, "record-chain": refuse, "finger-enrol": refuse, "finger-forget": refuse, "box-pause": refuse, "key-reshard": refuse, "box-resume": refuse, "box-identify": refuse, "recovery-key": refuse, "site-recover": refuse,
};

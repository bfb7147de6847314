import { readCoordinatorConfig, type CoordinatorConfig } from "../../agent/coordinator/config.ts";
import { HsmProcess, signerOf } from "../../agent/hsm/client.ts";
import { startBroker, type Broker, type BrokerOptions } from "../../agent/mqtt/broker.ts";
import { connect, type Transport } from "../../agent/mqtt/connection.ts";
import { Exchange } from "../../agent/mqtt/exchange.ts";
import { readTls } from "../../agent/mqtt/tls-files.ts";
import { CertificateCache } from "../../agent/protocol/envelope.ts";
import { generateSigner } from "../../agent/protocol/es256.ts";
import type { Evidence } from "../../agent/protocol/evidence.ts";
import { boxHeartbeat } from "../../agent/protocol/heartbeat.ts";
import { boxRequests } from "../../agent/protocol/messages.ts";
import { keyRecordHash, type KeyRecord } from "../../agent/protocol/key-record.ts";
import { NonceBook } from "../../agent/protocol/nonces.ts";
import type { RequestFields, Use } from "../../agent/protocol/request.ts";
import { generateRecipient } from "../../agent/protocol/seal.ts";
import { beginSession, type Session } from "../../agent/protocol/session.ts";
import { refOf, type SiteRecord, type SiteRecordBody } from "../../agent/protocol/site-record.ts";
import { signStatement } from "../../agent/protocol/statement.ts";
import { everybodyUp, topic } from "../../agent/protocol/topics.ts";
import { systemClock } from "../../agent/runtime/clock.ts";
import { toBase64url } from "../../agent/runtime/encoding.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { systemRandom } from "../../agent/runtime/random.ts";
import { boxIds, type BoxId } from "./site.ts";
import { endOf } from "./stage.ts";
import { waitUntil } from "./wait.ts";

/**
 * Somebody who owns the coordinator's computer: its HSM with the PIN, its broker, its certificates. Every
 * message it sends is properly signed; what it cannot make is evidence.
 */
export class Rogue {
  readonly #nonces = new Map<string, string>();
  readonly #broker: Broker;
  readonly #transport: Transport;
  readonly #hsm: HsmProcess;
  readonly #session: Session;
  readonly #exchange: Exchange;
  readonly #record: SiteRecord;
  readonly #beating: NodeJS.Timeout;

  private constructor(parts: { broker: Broker; transport: Transport; hsm: HsmProcess; session: Session; record: SiteRecord }) {
    const { record, session, transport } = parts;
    const { site } = record;
    const self = record.body.coordinator.id;
    this.#broker = parts.broker;
    this.#transport = transport;
    this.#hsm = parts.hsm;
    this.#session = session;
    this.#record = record;
    const nonces = new NonceBook(systemClock, systemRandom);
    this.#exchange = new Exchange({
      transport, session, clock: systemClock, random: systemRandom, log: silentLog, nonces,
      reader: { site, self, keyOf: (sender) => record.body.boxes.find((box) => box.id === sender)?.key, certificates: new CertificateCache() },
      freshOf: (box) => this.#nonces.get(box), topicFor: (box, kind) => topic({ kind: "box", box, direction: "down", what: kind }),
    });
    this.#exchange.onEvent((name, data, { from }) => {
      const beat = name === "heartbeat" ? boxHeartbeat.safeParse(data) : undefined;
      if (beat?.success === true) this.#nonces.set(from, beat.data.nonce);
    });
    let counter = 0;
    this.#beating = setInterval(() => {
      this.#exchange.tell(topic({ kind: "coordinator", what: "heartbeat" }), "coordinator", { counter: ++counter, nonce: nonces.issue(), siteRecord: refOf(record) }).catch(() => undefined);
    }, 300);
  }

  /** Takes the place of the coordinator, which must be stopped, and waits until every box talks to it. */
  static async takeOver(configFile: string, record: SiteRecord): Promise<Rogue> {
    const config = readCoordinatorConfig(["--config", configFile]);
    const { broker } = config;
    if (!("listen" in broker)) throw new TypeError("the demo's coordinator has the embedded broker");
    const hsm = new HsmProcess(config.hsm, { log: silentLog });
    await hsm.start();
    let rogue: Rogue | undefined;
    try {
      rogue = await Rogue.#begin({ ...config, broker }, hsm, record);
      const { heard } = rogue;
      await waitUntil("every box talks to the taken-over coordinator", 40_000, () => Promise.resolve(heard()));
      return rogue;
    } catch (error) {
      await (rogue?.end() ?? hsm.stop());
      throw error;
    }
  }

  static async #begin(config: CoordinatorConfig & { readonly broker: { readonly listen: BrokerOptions["listen"] } }, hsm: HsmProcess, record: SiteRecord): Promise<Rogue> {
    const known = new Map<string, "box" | "client" | "coordinator">([[config.coordinator, "coordinator"], ...record.body.boxes.map((box) => [box.id, "box"] as const)]);
    const broker = await startBroker({ listen: config.broker.listen, tls: readTls(config.state, "broker"), kindOf: (name) => known.get(name), log: silentLog });
    const session = await beginSession(signerOf(hsm, "identity"), config.site, config.coordinator, systemRandom);
    const transport = connect({ url: `mqtts://127.0.0.1:${broker.port}`, tls: readTls(config.state, config.coordinator), clientId: config.coordinator, log: silentLog, random: systemRandom });
    const rogue = new Rogue({ broker, transport, hsm, session, record });
    await transport.subscribe(everybodyUp);
    return rogue;
  }

  readonly heard = (): boolean => boxIds.every((box) => this.#nonces.has(box));

  /** A request as fresh as can be, for an enclave whose keys the attacker has. */
  fields(use: Use, record: KeyRecord): RequestFields {
    const { coordinator } = this.#record.body;
    return {
      use, epoch: record.epoch, attempt: record.attempt, record: keyRecordHash(record), enclave: anotherEnclave(),
      coordinator: { id: coordinator.id, boot: this.#session.certificate.body.boot }, siteRecord: refOf(this.#record), deadlineMs: 30_000,
      nonces: [...this.#nonces].map(([box, nonce]) => ({ box, nonce })).sort((a, b) => (a.box < b.box ? -1 : 1)),
    };
  }

  /** An honest prompt: the evidence that a person gives for exactly these fields. */
  async prompt(box: BoxId, fields: RequestFields): Promise<Evidence> {
    const { evidence } = await this.#exchange.request(boxRequests, "prompt", box, { fields }, { deadlineMs: 30_000 });
    return evidence;
  }

  /** What every holder says to a challenge: the code of its refusal, or null if it answered. */
  async challengeAll(fields: RequestFields, evidence: readonly Evidence[]): Promise<(string | null)[]> {
    const nonce = toBase64url(systemRandom.bytes(16));
    return await Promise.all(boxIds.map((box) => endOf(this.#exchange.request(boxRequests, "challenge", box, { fields, evidence: [...evidence], nonce }, { deadlineMs: 5000 }))));
  }

  /** A version that the authority signs, whoever approved it or did not. */
  async signRecord(body: SiteRecordBody): Promise<SiteRecord> {
    const { site, by } = this.#record;
    return await signStatement(signerOf(this.#hsm, "authority"), "site-record", site, by, body);
  }

  /** What every box says to these versions of the site record. */
  async offerAll(chain: readonly SiteRecord[]): Promise<(string | null)[]> {
    return await Promise.all(boxIds.map((box) => endOf(this.#exchange.request(boxRequests, "record", box, { chain: [...chain] }, { deadlineMs: 5000 }))));
  }

  async end(): Promise<void> {
    clearInterval(this.#beating);
    await this.#transport.close();
    await this.#broker.close();
    await this.#hsm.stop();
  }
}

/** Keys of an enclave that the attacker runs: shards sealed to it would be the attacker's. */
export function anotherEnclave(): RequestFields["enclave"] {
  return { seal: toBase64url(generateRecipient().publicKey), sign: generateSigner().publicKey };
}

import { connect as connectMqtt, type MqttClient } from "mqtt";
import mqttPacket from "mqtt-packet";
import type { Log } from "../runtime/log.ts";
import type { Random } from "../runtime/random.ts";
import { MqttError } from "./errors.ts";

/** What the logic asks of a broker connection; a simulation brings its own. */
export interface Transport {
  /** Only while connected, else NOT_CONNECTED: nothing is queued, a late message is a wrong one. */
  publish(topic: string, payload: Uint8Array, options?: { readonly qos?: 0 | 1; readonly retain?: boolean }): Promise<void>;
  /** Also again after every reconnect. Resolves once the broker has taken them for the first time. */
  subscribe(filters: readonly string[]): Promise<void>;
  onMessage(handler: (topic: string, payload: Uint8Array, retained: boolean) => void): void;
  onState(handler: (state: "up" | "down", reason?: string) => void): void;
  readonly up: boolean;
  close(): Promise<void>;
}

export interface TlsFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface ConnectionOptions {
  /** `mqtts://host:port` */
  readonly url: string;
  readonly tls: TlsFiles;
  /** The certificate's CN; a client adds `.` and 8 hex digits. */
  readonly clientId: string;
  readonly will?: { readonly topic: string; readonly payload: Uint8Array; readonly qos: 0 | 1; readonly retain: boolean };
  readonly log: Log;
  readonly random: Random;
}

// It fills a cache of 65,536 buffers at the first packet: 14 MB on every box (platform.md §7).
(mqttPacket.writeToStream as { cacheNumbers?: boolean }).cacheNumbers = false;

const backoffMs = { first: 1000, most: 60_000 } as const;
const keepaliveS = 15;

function urlOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol !== "mqtts:" || url.port === "") {
    throw new MqttError("BROKER_URL_INVALID", `${text} is no broker address`, { remedy: "write it as mqtts://host:port" });
  }
  return url;
}

/** Opens a connection that comes back by itself with full jitter; lessons of design §14. */
export function connect(options: ConnectionOptions): Transport {
  return new Connection(options);
}

class Connection implements Transport {
  readonly #client: MqttClient;
  readonly #options: ConnectionOptions;
  readonly #filters = new Set<string>();
  readonly #stateHandlers: ((state: "up" | "down", reason?: string) => void)[] = [];
  #failures = 0;
  #reason: string | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const { tls, clientId, will, log } = options;
    const { hostname, port } = urlOf(options.url);
    this.#client = connectMqtt({
      protocol: "mqtts", host: hostname, port: Number(port), clientId, ca: tls.ca, cert: tls.cert, key: tls.key,
      protocolVersion: 4, clean: true, keepalive: keepaliveS, connectTimeout: 10_000, resubscribe: false,
      queueQoSZero: false, reconnectOnConnackError: true, reconnectPeriod: backoffMs.first,
      ...(will === undefined ? {} : { will: { ...will, payload: Buffer.from(will.payload) } }),
    });
    this.#client.on("connect", () => {
      // Nagle on either side costs 44 ms a message (platform.md §5).
      (this.#client.stream as { setNoDelay?: (on: boolean) => void }).setNoDelay?.(true);
      this.#failures = 0;
      this.#client.options.reconnectPeriod = backoffMs.first;
      this.#resubscribe();
    });
    this.#client.on("close", () => {
      this.#failures += 1;
      this.#client.options.reconnectPeriod = this.#jitter();
      for (const handler of this.#stateHandlers) handler("down", this.#reason);
    });
    this.#client.on("error", (error) => {
      this.#reason = error.message;
      log.warn("broker", { error: error.message });
    });
  }

  get up(): boolean {
    return this.#client.connected;
  }

  async publish(topic: string, payload: Uint8Array, { qos = 0, retain = false }: { readonly qos?: 0 | 1; readonly retain?: boolean } = {}): Promise<void> {
    if (!this.#client.connected) throw new MqttError("NOT_CONNECTED", `not connected to ${this.#options.url}`, { retryable: true });
    await this.#client.publishAsync(topic, Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength), { qos, retain });
  }

  async subscribe(filters: readonly string[]): Promise<void> {
    for (const filter of filters) this.#filters.add(filter);
    if (!this.#client.connected) await this.#connected();
    await this.#subscribeNow(filters);
  }

  onMessage(handler: (topic: string, payload: Uint8Array, retained: boolean) => void): void {
    this.#client.on("message", (topic, payload, packet) => { handler(topic, payload, packet.retain); });
  }

  onState(handler: (state: "up" | "down", reason?: string) => void): void {
    this.#stateHandlers.push(handler);
    if (this.#client.connected) handler("up");
  }

  async close(): Promise<void> {
    await this.#client.endAsync(!this.#client.connected);
  }

  #connected(): Promise<void> {
    return new Promise((resolve) => { this.#client.once("connect", () => { resolve(); }); });
  }

  /** Upper bound doubles with every failure; uniform below it, so that a fleet does not come back in step. */
  #jitter(): number {
    const most = Math.min(backoffMs.first * 2 ** Math.min(this.#failures, 10), backoffMs.most);
    const [high = 0, low = 0] = this.#options.random.bytes(2);
    return backoffMs.first / 4 + (most - backoffMs.first / 4) * ((high * 256 + low) / 65_536);
  }

  /** `up` is said only when the subscriptions stand: what is asked then is also heard. */
  #resubscribe(): void {
    this.#subscribeNow([...this.#filters]).then(
      () => { for (const handler of this.#stateHandlers) handler("up"); },
      (error: unknown) => { this.#options.log.error("subscription refused", { error: String(error) }); },
    );
  }

  async #subscribeNow(filters: readonly string[]): Promise<void> {
    if (filters.length === 0) return;
    try {
      const granted = await this.#client.subscribeAsync([...filters], { qos: 1 });
      const refused = granted.find(({ qos }) => qos > 2);
      if (refused !== undefined) throw new MqttError("RIGHTS_REFUSED", `the broker refuses ${refused.topic}`);
    } catch (cause) {
      if (cause instanceof MqttError) throw cause;
      throw new MqttError("RIGHTS_REFUSED", `the broker refuses to let ${this.#options.clientId} read ${filters.join(", ")}`, {
        cause, retryable: true, remedy: "check that the certificate's name is in the site record and the broker's ACL",
      });
    }
  }
}

import { Socket } from "node:net";
import { createSecureContext, type SecureContext } from "node:tls";
import { connect as connectMqtt, type IClientOptions, type MqttClient } from "mqtt";
import { systemClock, type Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import type { Random } from "../runtime/random.ts";
import { backoffMs } from "./backoff.ts";
import { connectionError, isRefusal, MqttError } from "./errors.ts";
import type { StateHandler, Transport } from "./transport.ts";

export type { Transport } from "./transport.ts";

/** All PEM. */
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
  readonly clock?: Clock;
}

const keepaliveS = 15;
const connectMs = 10_000;
/** A connection that lasted this long was a good one: only then the waits between attempts begin anew. */
const steadyMs = 10_000;
/** Left in good order within this time, or cut. */
const leaveMs = 1000;
const mostInFlight = 1000;

/**
 * Opens a connection that comes back by itself; lessons of design §14. Throws BROKER_URL_INVALID or
 * TLS_INVALID; everything later is told by {@link Transport.onState}.
 */
export function connect(options: ConnectionOptions): Transport {
  return new Connection(options, addressOf(options.url), contextOf(options));
}

function addressOf(text: string): { readonly host: string; readonly port: number } {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol !== "mqtts:" || url.hostname === "" || url.port === "") {
    throw new MqttError("BROKER_URL_INVALID", `${text} is no broker address`, { remedy: "write it as mqtts://host:port" });
  }
  return { host: url.hostname.replace(/^\[|\]$/g, ""), port: Number(url.port) };
}

function contextOf({ tls, clientId }: ConnectionOptions): SecureContext {
  try {
    // Node takes an empty `ca` for "whatever the system trusts".
    if (Object.values(tls).includes("")) throw new Error("an empty file");
    return createSecureContext({ ...tls, minVersion: "TLSv1.2" });
  } catch (cause) {
    throw new MqttError("TLS_INVALID", `the TLS certificate or key of ${clientId} cannot be used`, { cause, remedy: "the files are damaged or do not belong together: join again" });
  }
}

/** mqtt.js hands its options on to tls.connect; its type names only some of them. */
interface SecureContextOption { readonly secureContext: SecureContext }
type Settle = (error?: MqttError) => void;

/** Each MqttClient is used for one connection: nothing of it, queued or half sent, reaches the next. */
class Connection implements Transport {
  readonly #options: ConnectionOptions;
  readonly #address: { readonly host: string; readonly port: number };
  readonly #secureContext: SecureContext;
  readonly #clock: Clock;
  readonly #filters = new Set<string>();
  readonly #messageHandlers: Parameters<Transport["onMessage"]>[0][] = [];
  readonly #stateHandlers: StateHandler[] = [];
  /** Publishes that the broker has not taken yet. */
  readonly #inFlight = new Set<Settle>();
  /** Whoever waits for a connection on which all filters are granted. */
  readonly #waiting = new Set<Settle>();
  #client: MqttClient;
  #up = false;
  #closed = false;
  #failures = 0;
  #error: MqttError | undefined;
  /** One timer at a time: the grant of the subscriptions, a steady connection, the next attempt. */
  #cancelTimer = (): void => undefined;

  constructor(options: ConnectionOptions, address: { readonly host: string; readonly port: number }, secureContext: SecureContext) {
    this.#options = options;
    this.#address = address;
    this.#secureContext = secureContext;
    this.#clock = options.clock ?? systemClock;
    this.#client = this.#open();
  }

  get up(): boolean {
    return this.#up;
  }

  publish(topic: string, payload: Uint8Array, { qos = 0, retain = false }: { readonly qos?: 0 | 1; readonly retain?: boolean } = {}): Promise<void> {
    if (!this.#up) return Promise.reject(this.#notConnected("is not connected"));
    if (this.#inFlight.size >= mostInFlight) {
      return Promise.reject(new MqttError("BROKER_BUSY", `${this.#options.url} has not taken ${mostInFlight} messages yet`, { retryable: true }));
    }
    return pending(this.#inFlight, (settle) => {
      this.#client.publish(topic, Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength), { qos, retain }, (error) => {
        settle(error instanceof Error ? this.#notConnected("lost the connection before the broker took a message", error) : undefined);
      });
    });
  }

  async subscribe(filters: readonly string[]): Promise<void> {
    if (this.#closed) throw this.#notConnected("is closed");
    for (const filter of filters) this.#filters.add(filter);
    try {
      if (!this.#up || !await this.#granted(this.#client, filters)) await pending(this.#waiting, () => undefined);
    } catch (error) {
      for (const filter of filters) this.#filters.delete(filter);
      throw error;
    }
  }

  onMessage(handler: (topic: string, payload: Uint8Array, retained: boolean) => void): void {
    this.#messageHandlers.push(handler);
  }

  onState(handler: StateHandler): void {
    this.#stateHandlers.push(handler);
    if (this.#up) handler("up");
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelTimer();
    const client = this.#client;
    if (this.#up) {
      const cancelCut = this.#clock.after(leaveMs, () => { client.stream.destroy(); });
      await new Promise<void>((resolve) => { client.once("close", () => { resolve(); }).end(); });
      cancelCut();
    } else {
      client.end(true);
    }
    for (const settle of [...this.#inFlight, ...this.#waiting]) settle(this.#notConnected("is closed"));
  }

  #open(): MqttClient {
    const { clientId, will } = this.#options;
    const options: IClientOptions & SecureContextOption = {
      protocol: "mqtts", ...this.#address, secureContext: this.#secureContext, clientId, protocolVersion: 4, clean: true,
      keepalive: keepaliveS, connectTimeout: connectMs, reconnectPeriod: 0, resubscribe: false, queueQoSZero: false,
      ...(will === undefined ? {} : { will: { ...will, payload: Buffer.from(will.payload) } }),
    };
    const client = connectMqtt(options);
    client.on("connect", () => {
      // Nagle on either side costs 44 ms a message (platform.md §5).
      if (client.stream instanceof Socket) client.stream.setNoDelay(true);
      this.#cancelTimer = this.#clock.after(connectMs, () => { client.stream.destroy(); });
      void this.#establish(client);
    });
    client.on("message", (topic, payload, packet) => { for (const handler of this.#messageHandlers) handler(topic, payload, packet.retain); });
    client.on("error", (error) => { this.#error ??= connectionError(error, this.#options); });
    client.once("close", () => { this.#lost(client); });
    return client;
  }

  /** Subscribes to everything, also to what is asked for meanwhile, and then says `up`. */
  async #establish(client: MqttClient): Promise<void> {
    const asked = new Set<string>();
    try {
      for (;;) {
        const open = [...this.#filters].filter((filter) => !asked.has(filter));
        if (open.length === 0) break;
        for (const filter of open) asked.add(filter);
        if (!await this.#granted(client, open)) return;
      }
    } catch (error) {
      this.#error = error as MqttError;
      for (const settle of [...this.#waiting]) settle(this.#error);
      client.end(true);
      return;
    }
    if (this.#closed) return;
    this.#up = true;
    this.#cancelTimer();
    this.#cancelTimer = this.#clock.after(steadyMs, () => { this.#failures = 0; });
    this.#options.log.info("broker up", { url: this.#options.url });
    for (const handler of this.#stateHandlers) handler("up");
    for (const settle of [...this.#waiting]) settle();
  }

  /** False if the connection ended first. Rejects with RIGHTS_REFUSED. */
  #granted(client: MqttClient, filters: readonly string[]): Promise<boolean> {
    const { url, clientId } = this.#options;
    return new Promise((resolve, reject) => {
      client.subscribe([...filters], { qos: 1 }, (error) => {
        if (error === null) resolve(true);
        else if (!client.connected) resolve(false);
        else {
          reject(new MqttError("RIGHTS_REFUSED", `${url} does not let ${clientId} read ${filters.join(", ")}`, {
            cause: error, retryable: true, remedy: "check that the certificate's name is in the site record and the broker's ACL",
          }));
        }
      });
    });
  }

  #lost(client: MqttClient): void {
    client.end(true);
    this.#cancelTimer();
    const { url, clientId, log, random } = this.#options;
    const error = this.#error ?? new MqttError("NOT_CONNECTED", `${url} closed the connection of ${clientId}`, {
      retryable: true, remedy: `if it repeats: does another process run as ${clientId}? The broker's log says more`,
    });
    this.#error = undefined;
    this.#up = false;
    for (const settle of [...this.#inFlight]) settle(this.#notConnected("lost the connection before the broker took a message", error));
    if (this.#closed) return;
    this.#failures += 1;
    const wait = backoffMs(this.#failures, random);
    log.warn("broker down", { error: error.toString(), againMs: wait });
    for (const handler of this.#stateHandlers) handler("down", error.message, isRefusal(error) ? error : undefined);
    this.#cancelTimer = this.#clock.after(wait, () => { this.#client = this.#open(); });
  }

  #notConnected(what: string, cause?: Error): MqttError {
    return new MqttError("NOT_CONNECTED", `${this.#options.clientId} ${what} (${this.#options.url})`, { cause, retryable: true });
  }
}

/** A promise that anybody may settle through `set`, once. */
function pending(set: Set<Settle>, start: (settle: Settle) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle: Settle = (error) => {
      if (!set.delete(settle)) return;
      if (error === undefined) resolve();
      else reject(error);
    };
    set.add(settle);
    start(settle);
  });
}

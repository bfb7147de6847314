import { connect, type IClientOptions, type MqttClient } from "mqtt";
import type { TlsFiles } from "../../../agent/mqtt/connection.ts";

/** An MQTT client without any of our manners, for what ours would never do. */
export interface Raw {
  readonly client: MqttClient;
  /** `topic payload` of everything received. */
  readonly got: readonly string[];
  readonly closed: Promise<void>;
  /** Cuts the connection: no DISCONNECT, so the will is due. */
  cut(): void;
}

/** Resolves when the broker has accepted it, rejects with what ended it first. */
export async function raw(url: string, tls: Partial<TlsFiles>, clientId: string, options: IClientOptions = {}): Promise<Raw> {
  const client = connect(url, { ...tls, clientId, protocolVersion: 4, clean: true, reconnectPeriod: 0, connectTimeout: 5000, ...options });
  const got: string[] = [];
  client.on("message", (topic, payload) => { got.push(`${topic} ${payload.toString("latin1", 0, 40)}`); });
  let reason = new Error("closed");
  client.on("error", (error) => { reason = error; });
  const closed = new Promise<void>((resolve) => { client.once("close", () => { client.end(true); resolve(); }); });
  await Promise.race([
    new Promise<void>((resolve) => { client.once("connect", () => { resolve(); }); }),
    closed.then(() => { throw reason; }),
  ]);
  return { client, got, closed, cut: () => { client.stream.destroy(); } };
}

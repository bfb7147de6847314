import type { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import { Aedes, type Client } from "aedes";
import mqttPacket from "mqtt-packet";
import { mostMessageBytes } from "../protocol/envelope.ts";
import type { Log } from "../runtime/log.ts";
import { BoundedStream } from "./bounded-stream.ts";
import type { TlsFiles } from "./connection.ts";
import { MqttError } from "./errors.ts";
import { mayRead, maySubscribe, mayWrite, type Kind } from "./rights.ts";

export interface BrokerOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly tls: TlsFiles;
  /** Asked at connect and again at every message: an identity that leaves the site record is out at once. */
  readonly kindOf: (name: string) => Kind | undefined;
  readonly log: Log;
}

export interface Broker {
  readonly port: number;
  /** Ends the connections of an identity. */
  disconnect(name: string): void;
  close(): Promise<void>;
}

// aedes leaves on what mqtt.js switches off: 65,536 cached buffers, 14 MB (platform.md §7).
(mqttPacket.writeToStream as { cacheNumbers?: boolean }).cacheNumbers = false;

/** A packet has a topic and an identifier besides its payload. */
const bounds = { packetBytes: mostMessageBytes + 1024, queuedBytes: 4 * 1024 * 1024 } as const;
/** Of one identity, side by side. */
const mostConnections = 32;
/** The client id of a client: its name, and what tells its connections apart (design §5). */
const sideBySide = /^([a-z0-9-]{1,32})\.[0-9a-f]{8}$/;

/** Why a client may not connect, else undefined. */
function connectRefusal(client: Client, name: string, kind: Kind | undefined): string | undefined {
  if (kind === undefined) return `the site knows no ${name}`;
  const owner = kind === "client" ? sideBySide.exec(client.id)?.[1] : client.id;
  if (owner !== name) return `this client id is not for ${name}`;
  // Nothing is kept for somebody who is away: a late message is a wrong one, and the queue would have no end.
  return client.clean ? undefined : "it asks for a persistent session";
}

/**
 * The embedded broker: aedes behind mutual TLS, rights by the certificate's name. It is not in the trust
 * base; its rights keep noise out and the site's traffic apart. Rejects with LISTEN_FAILED.
 */
export async function startBroker({ listen, tls, kindOf, log }: BrokerOptions): Promise<Broker> {
  const names = new WeakMap<Client, string>();
  const connections = new Map<string, Set<BoundedStream>>();
  const nameOf = (client: Client): string => names.get(client) ?? "";

  /** Whether `client` may; one that the site no longer knows is put out. */
  function allows(client: Client, rule: (kind: Kind, name: string) => boolean): boolean {
    const kind = kindOf(nameOf(client));
    if (kind === undefined) client.conn.destroy();
    return kind !== undefined && rule(kind, nameOf(client));
  }

  const aedes = await Aedes.createBroker({
    connectTimeout: 10_000,
    authenticate: (client, _user, _password, done) => {
      const refusal = connectRefusal(client, nameOf(client), kindOf(nameOf(client)));
      if (refusal !== undefined) log.warn("connection refused", { name: nameOf(client), client: client.id, why: refusal });
      done(null, refusal === undefined); // a refusal is CONNACK 5, not authorized (MQTT 3.1.1 §3.2.2.3)
    },
    // Also asked for a will, when it is due.
    authorizePublish: (client, packet, done) => {
      const fits = packet.qos < 2 && packet.payload.length <= mostMessageBytes;
      if (client !== null && fits && allows(client, (kind, name) => mayWrite(kind, name, packet.topic))) {
        done(null);
        return;
      }
      log.warn("publish refused", { client: client?.id ?? "", topic: packet.topic, bytes: packet.payload.length });
      done(new MqttError("RIGHTS_REFUSED", `may not write ${packet.topic}`));
    },
    authorizeSubscribe: (client, subscription, done) => {
      const allowed = allows(client, (kind, name) => maySubscribe(kind, name, subscription.topic));
      if (!allowed) log.warn("subscription refused", { client: client.id, topic: subscription.topic });
      done(null, allowed ? subscription : null);
    },
    authorizeForward: (client, packet) => (allows(client, (kind, name) => mayRead(kind, name, packet.topic)) ? packet : null),
  });
  const events: EventEmitter = aedes; // its own type leaves out "error"
  events.on("error", (error: Error) => { log.error("broker", { error: error.message }); });
  aedes.on("clientError", (client, error) => {
    if (client.connected) log.warn("connection ended", { client: client.id, error: error.message });
  });

  function accept(socket: TLSSocket): void {
    const name = socket.getPeerCertificate().subject.CN;
    const mine = (typeof name === "string" ? connections.get(name) : undefined) ?? new Set();
    if (typeof name !== "string" || mine.size >= mostConnections) {
      log.warn("connection refused", { name: String(name), connections: mine.size });
      socket.destroy();
      return;
    }
    const stream = new BoundedStream(socket, bounds);
    connections.set(name, mine.add(stream));
    stream.on("close", () => {
      mine.delete(stream);
      if (mine.size === 0) connections.delete(name);
    });
    names.set(aedes.handle(stream), name);
  }

  const server = createServer({
    ...tls, requestCert: true, rejectUnauthorized: true, minVersion: "TLSv1.2", noDelay: true, handshakeTimeout: 10_000,
  }, accept);
  // Also those whose handshake is under way, for which closing would otherwise wait.
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => { sockets.delete(socket); });
  });
  server.on("tlsClientError", (error) => { log.warn("TLS refused", { error: error.message }); });
  const closeAedes = (): Promise<void> => new Promise((resolve) => { aedes.close(() => { resolve(); }); });
  const port = await listening(server, listen).catch(async (error: unknown) => {
    await closeAedes(); // its timers would keep the process alive
    throw error;
  });

  return {
    port,
    disconnect: (name) => { for (const stream of connections.get(name) ?? []) stream.destroy(); },
    close: async () => {
      const closed = new Promise<void>((resolve) => { server.close(() => { resolve(); }); });
      await closeAedes();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** The port that was taken. */
async function listening(server: Server, { host, port }: BrokerOptions["listen"]): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => {
      reject(new MqttError("LISTEN_FAILED", `cannot listen on ${host}:${port}`, { cause, remedy: "choose another broker.listen.port, or stop what uses it" }));
    });
    server.listen(port, host, () => { resolve(); });
  });
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : port;
}

import { createServer, type TLSSocket, type Server } from "node:tls";
import { Aedes, type Client } from "aedes";
import { everybodyUp } from "../protocol/topics.ts";
import { mostMessageBytes } from "../protocol/envelope.ts";
import type { Log } from "../runtime/log.ts";
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

/** Connections of one client identity side by side carry this after its name. */
const sideBySide = /^([a-z0-9-]{1,32})\.[0-9a-f]{8}$/;

/** The certificate's name, if the client id is allowed for it. */
function identityOf(client: Client, kindOf: BrokerOptions["kindOf"]): { readonly name: string; readonly kind: Kind } | undefined {
  const name = (client.conn as TLSSocket).getPeerCertificate().subject.CN;
  if (typeof name !== "string") return undefined;
  const kind = kindOf(name);
  if (kind === undefined) return undefined;
  const fits = kind === "client" ? sideBySide.exec(client.id)?.[1] === name : client.id === name;
  return fits ? { name, kind } : undefined;
}

/**
 * The embedded broker: aedes behind mutual TLS, rights by the certificate's name. It is not in the trust
 * base; its rights keep noise out and the site's traffic apart.
 */
export async function startBroker({ listen, tls, kindOf, log }: BrokerOptions): Promise<Broker> {
  const names = new WeakMap<Client, string>();
  const aedes = await Aedes.createBroker({
    concurrency: 100, queueLimit: 1000, maxClientsIdLength: 64, heartbeatInterval: 60_000, connectTimeout: 10_000,
    preConnect: (client, _packet, done) => {
      const identity = identityOf(client, kindOf);
      if (identity === undefined) log.warn("connection refused", { client: client.id });
      else names.set(client, identity.name);
      done(null, identity !== undefined);
    },
    authorizePublish: (client, packet, done) => {
      const allowed = client !== null && allows(client, (kind, name) => mayWrite(kind, name, packet.topic)) && packet.payload.length <= mostMessageBytes;
      if (!allowed) log.warn("publish refused", { client: client?.id ?? "", topic: packet.topic });
      done(allowed ? null : new MqttError("RIGHTS_REFUSED", `may not write ${packet.topic}`));
    },
    authorizeSubscribe: (client, subscription, done) => {
      const allowed = allows(client, (kind, name) => maySubscribe(kind, name, subscription.topic, everybodyUp));
      if (!allowed) log.warn("subscription refused", { client: client.id, topic: subscription.topic });
      done(null, allowed ? subscription : null);
    },
    authorizeForward: (client, packet) => (allows(client, (kind, name) => mayRead(kind, name, packet.topic)) ? packet : null),
  });

  function allows(client: Client, rule: (kind: Kind, name: string) => boolean): boolean {
    const name = names.get(client);
    const kind = name === undefined ? undefined : kindOf(name);
    return name !== undefined && kind !== undefined && rule(kind, name);
  }

  const server = createServer({ ca: tls.ca, cert: tls.cert, key: tls.key, requestCert: true, rejectUnauthorized: true, minVersion: "TLSv1.2", noDelay: true }, aedes.handle);
  server.on("tlsClientError", (error) => { log.warn("TLS refused", { error: error.message }); });
  await listening(server, listen);
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : listen.port;

  const everyClient = aedes as unknown as { readonly clients: Readonly<Record<string, Client>> };
  return {
    port,
    disconnect: (gone) => {
      for (const client of Object.values(everyClient.clients)) if (names.get(client) === gone) client.close();
    },
    close: async () => {
      await new Promise<void>((resolve) => { aedes.close(() => { resolve(); }); });
      await new Promise<void>((resolve) => { server.close(() => { resolve(); }); });
    },
  };
}

function listening(server: Server, { host, port }: { readonly host: string; readonly port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      reject(new MqttError("LISTEN_FAILED", `cannot listen on ${host}:${port}`, { cause, remedy: "choose another broker.listen.port, or stop what uses it" }));
    });
    server.listen(port, host, () => { resolve(); });
  });
}

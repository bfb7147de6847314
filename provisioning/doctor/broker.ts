import { once } from "node:events";
import { connect as connectTcp, createServer, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type TlsFiles } from "../../agent/mqtt/connection.ts";
import { connectionError, MqttError } from "../../agent/mqtt/errors.ts";
import { readTls } from "../../agent/mqtt/tls-files.ts";
import type { Transport } from "../../agent/mqtt/transport.ts";
import { everybodyUp, topic } from "../../agent/protocol/topics.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { systemRandom } from "../../agent/runtime/random.ts";
import type { Installation } from "../machine/installation.ts";
import { saidError, Skipped, type Check } from "./check.ts";

/** With TLS 1.3 a refusal of our certificate comes after our handshake is done. */
const alertMs = 300;
const deadlineMs = 12_000;

export interface Address { readonly url: string; readonly host: string; readonly port: number }

/** Throws BROKER_URL_INVALID. */
export function addressOf(url: string): Address {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed?.protocol !== "mqtts:" || parsed.port === "") throw new MqttError("BROKER_URL_INVALID", `${url} is no broker address`, { remedy: "write it as mqtts://host:port" });
  return { url, host: parsed.hostname.replace(/^\[|\]$/g, ""), port: Number(parsed.port) };
}

async function opened(socket: Socket, event: "connect" | "secureConnect", signal: AbortSignal, then: () => Promise<void> = () => Promise.resolve()): Promise<void> {
  signal.addEventListener("abort", () => { socket.destroy(); });
  const failed = new Promise<never>((_, reject) => { socket.on("error", reject); });
  failed.catch(() => undefined);
  try {
    await Promise.race([once(socket, event), failed]);
    await Promise.race([then(), failed]);
  } finally {
    socket.destroy();
  }
}

export async function reach({ url, host, port }: Address, signal: AbortSignal): Promise<string> {
  try {
    await opened(connectTcp({ host, port }), "connect", signal);
  } catch (cause) {
    throw connectionError(cause as Error, { url, clientId: "" });
  }
  return `${host}:${port} takes connections`;
}

/** The handshake alone: no MQTT, so nobody of this name is put off the broker. */
export async function handshake({ url, host, port }: Address, tls: TlsFiles, name: string, signal: AbortSignal): Promise<string> {
  try {
    await opened(connectTls({ host, port, ...tls, minVersion: "TLSv1.2" }), "secureConnect", signal, async () => { await sleep(alertMs); });
  } catch (cause) {
    throw connectionError(cause as Error, { url, clientId: name });
  }
  return `it is this site's broker, and takes the certificate of ${name}`;
}

/** A connection as `name` that is up, with `filters` granted; the caller closes it. Rejects with what the broker said. */
export async function joinBroker(url: string, tls: TlsFiles, name: string, filters: readonly string[], signal: AbortSignal): Promise<Transport> {
  let refuse: (error: unknown) => void = () => undefined;
  const refused = new Promise<never>((_, reject) => { refuse = reject; });
  const log = { ...silentLog, warn: (event: string, { error = event }: { error?: unknown } = {}) => { refuse(saidError(String(error), "BROKER_UNREACHABLE", "the broker's log says more")); } };
  const transport = connect({ url, tls, clientId: name, log, random: systemRandom });
  signal.addEventListener("abort", () => { void transport.close(); });
  const up = transport.subscribe(filters);
  up.catch(() => undefined);
  refused.catch(() => undefined);
  try {
    await Promise.race([up, refused]);
    return transport;
  } catch (error) {
    await transport.close();
    throw error;
  }
}

/** What this installation reads at the broker. */
function filtersOf({ kind, name }: Pick<Installation, "kind" | "name">): readonly string[] {
  if (kind === "coordinator") return everybodyUp;
  return [...(["request", "response"] as const).map((what) => topic({ kind: "box", box: name, direction: "down", what })), topic({ kind: "coordinator", what: "heartbeat" })];
}

async function rights(url: string, of: Installation, signal: AbortSignal): Promise<string> {
  const filters = filtersOf(of);
  const transport = await joinBroker(url, readTls(of.state, of.name), of.name, filters, signal);
  await transport.close();
  return `${of.name} may read ${filters.join(", ")}`;
}

/** The port of an embedded broker that does not run: is it free, and ours to take? */
export async function tryListen(host: string, port: number): Promise<string> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => { server.once("error", reject).listen({ host, port }, resolve); });
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    throw new MqttError("LISTEN_FAILED", `the coordinator could not listen at ${host}:${port}: ${code}`, { cause, remedy: "who has it? ss -ltnp; or another broker.listen.port" });
  }
  await new Promise((resolve) => { server.close(resolve); });
  return `${host}:${port} is free for the embedded broker`;
}

export function brokerChecks(of: Installation, running: boolean): Check[] {
  const { name, state } = of;
  const embedded = of.kind === "coordinator" && "listen" in of.config.broker ? of.config.broker.listen : undefined;
  if (embedded !== undefined && !running) return [{ name: "broker port", run: () => tryListen(embedded.host, embedded.port) }];
  const url = of.kind === "box" ? of.config.broker : "url" in of.config.broker ? of.config.broker.url : `mqtts://${embedded?.host ?? ""}:${embedded?.port ?? 0}`;
  return [
    { name: "broker", deadlineMs, run: (signal) => reach(addressOf(url), signal) },
    { name: "broker tls", deadlineMs, run: (signal) => handshake(addressOf(url), readTls(state, name), name, signal) },
    {
      name: "broker rights", deadlineMs,
      run: (signal) => {
        if (running) throw new Skipped(`${name} is connected itself: a second connection would put it off`);
        return rights(url, of, signal);
      },
    },
  ];
}

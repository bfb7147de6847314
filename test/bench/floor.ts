import { writeFileSync } from "node:fs";
import { startBroker, type Broker } from "../../agent/mqtt/broker.ts";
import { connect, type Transport } from "../../agent/mqtt/connection.ts";
import { createTlsAuthority, createTlsKeys, issueCertificate } from "../../agent/mqtt/tls.ts";
import { topic } from "../../agent/protocol/topics.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { systemRandom } from "../../agent/runtime/random.ts";
import { SiteProcess } from "../../provisioning/demo/process.ts";
import { percentile, timed } from "./figures.ts";

/** Bytes of a challenge and of a client's request, as they are on the wire. */
const boxBytes = 4096;
const clientBytes = 2048;

export interface RoundTrips {
  /** p50 of one parallel round trip coordinator → n boxes → coordinator, ms. */
  readonly boxes: number;
  /** p50 of one round trip client → coordinator → client, ms. */
  readonly client: number;
}

/**
 * What the messages alone cost here and now: the same embedded broker in the coordinator's process, the same
 * TLS and connections, processes that send back what they get. Nothing is signed, parsed or decided.
 */
export async function measureRoundTrips(folder: string, n: number, runs: number): Promise<RoundTrips> {
  const authority = await createTlsAuthority("bench");
  const tlsOf = async (cn: string, hosts: readonly string[] = []) => {
    const keys = await createTlsKeys();
    return { ca: authority.certificate, cert: await issueCertificate(authority, cn, keys.publicKey, hosts), key: keys.privateKey };
  };
  const boxes = Array.from({ length: n }, (_, i) => `box-${i + 1}`);
  const broker = await startBroker({
    listen: { host: "127.0.0.1", port: 0 }, tls: await tlsOf("broker", ["127.0.0.1"]), log: silentLog,
    kindOf: (name) => (name === "coordinator" ? "coordinator" : name === "cli" ? "client" : "box"),
  });
  const url = `mqtts://127.0.0.1:${broker.port}`;
  const echoes: SiteProcess[] = [];
  const coordinator = connect({ url, tls: await tlsOf("coordinator"), clientId: "coordinator", log: silentLog, random: systemRandom });
  const client = connect({ url, tls: await tlsOf("cli"), clientId: "cli.00000000", log: silentLog, random: systemRandom });
  try {
    for (const box of boxes) {
      const file = `${folder}/echo-${box}.json`;
      writeFileSync(file, JSON.stringify({
        url, name: box, tls: await tlsOf(box), from: topic({ kind: "box", box, direction: "down", what: "request" }), to: topic({ kind: "box", box, direction: "up", what: "response" }),
      }), { mode: 0o600 });
      const echo = new SiteProcess(`echo ${box}`, "test/bench/echo.js", [file], `${folder}/echo-${box}.log`);
      echoes.push(echo);
      await echo.line(/ready/);
    }
    return { boxes: await ofBoxes(coordinator, boxes, runs), client: await ofClient(coordinator, client, runs) };
  } finally {
    await end(echoes, [coordinator, client], broker);
  }
}

async function ofBoxes(coordinator: Transport, boxes: readonly string[], runs: number): Promise<number> {
  const payload = new Uint8Array(boxBytes);
  let left = 0;
  let all: () => void = () => undefined;
  coordinator.onMessage((name) => { if (name.startsWith("shardkeep/v1/box/") && --left === 0) all(); });
  await coordinator.subscribe(["shardkeep/v1/box/+/up/+", "shardkeep/v1/client/+/up/+"]);
  return percentile(await timed(runs, async () => {
    left = boxes.length;
    const back = new Promise<void>((resolve) => { all = resolve; });
    for (const box of boxes) void coordinator.publish(topic({ kind: "box", box, direction: "down", what: "request" }), payload, { qos: 1 });
    await back;
  }), 0.5);
}

async function ofClient(coordinator: Transport, client: Transport, runs: number): Promise<number> {
  const up = topic({ kind: "client", client: "cli", direction: "up", what: "request" });
  const down = topic({ kind: "client", client: "cli", direction: "down", what: "response" });
  const payload = new Uint8Array(clientBytes);
  let back: () => void = () => undefined;
  coordinator.onMessage((name, bytes) => { if (name === up) void coordinator.publish(down, bytes, { qos: 1 }); });
  client.onMessage(() => { back(); });
  await client.subscribe([down]);
  return percentile(await timed(runs, async () => {
    const answered = new Promise<void>((resolve) => { back = resolve; });
    void client.publish(up, payload, { qos: 1 });
    await answered;
  }), 0.5);
}

async function end(echoes: readonly SiteProcess[], transports: readonly Transport[], broker: Broker): Promise<void> {
  await Promise.all(echoes.map((echo) => echo.stop()));
  await Promise.all(transports.map((transport) => transport.close()));
  await broker.close();
}

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findMosquitto } from "#paths";
import { startBroker } from "../../../agent/mqtt/broker.ts";
import { mosquittoAcl, mosquittoConfig } from "../../../agent/mqtt/mosquitto.ts";
import type { Kind } from "../../../agent/mqtt/rights.ts";
import { silentLog } from "../../../agent/runtime/log.ts";
import type { Certificates } from "./certificates.ts";
import { freePort, listens, twoFreePorts } from "./wait.ts";

/** A broker that the contract runs against; it can be stopped and started again at the same address. */
export interface BrokerUnderTest {
  readonly boxUrl: string;
  readonly clientUrl: string;
  start(): Promise<void>;
  stop(): Promise<void>;
}

export const kinds: Readonly<Record<string, Kind>> = { "box-1": "box", "box-2": "box", alice: "client", bob: "client", coordinator: "coordinator" };

export async function embedded(certificates: Certificates): Promise<BrokerUnderTest> {
  const port = await freePort();
  const url = `mqtts://127.0.0.1:${port}`;
  const open = () => startBroker({ listen: { host: "127.0.0.1", port }, tls: certificates.broker, kindOf: (name) => kinds[name], log: silentLog });
  let broker: Awaited<ReturnType<typeof open>> | undefined;
  return {
    boxUrl: url, clientUrl: url,
    start: async () => { broker = await open(); },
    stop: async () => { await broker?.close(); },
  };
}

/** Mosquitto with the configuration that we generate; certificates are read when it starts. Null where it is not installed. */
export async function mosquitto(certificates: Pick<Certificates, "broker">): Promise<BrokerUnderTest | null> {
  const program = findMosquitto();
  if (program === null) return null;
  const [boxPort, clientPort] = await twoFreePorts();
  let folder: string | undefined;
  let ended: Promise<void> = Promise.resolve();
  let kill = (): void => undefined;
  return {
    boxUrl: `mqtts://127.0.0.1:${boxPort}`, clientUrl: `mqtts://127.0.0.1:${clientPort}`,
    start: async () => {
      const own = mkdtempSync(join(tmpdir(), "shardkeep-mosquitto-"));
      folder = own;
      const at = (name: string, text: string): string => {
        writeFileSync(join(own, name), text, { mode: 0o600 });
        return join(own, name);
      };
      const { ca, cert, key } = certificates.broker;
      const options = {
        host: "127.0.0.1", boxPort, clientPort, coordinator: "coordinator",
        ca: at("ca.pem", ca), cert: at("cert.pem", cert), key: at("key.pem", key), acl: at("acl", mosquittoAcl({ coordinator: "coordinator" })),
      };
      const me = process.getuid?.() === 0 ? "user root\n" : "";
      const config = at("mosquitto.conf", `${me}log_dest stderr\n${mosquittoConfig(options)}`);
      const child = spawn(program.file, ["-c", config], { env: { ...program.env }, stdio: ["ignore", "ignore", "pipe"] });
      let output = "";
      child.stderr.on("data", (chunk: Buffer) => { output = (output + chunk.toString()).slice(-10_000); });
      ended = new Promise((resolve) => { child.once("exit", () => { resolve(); }); });
      kill = () => { child.kill("SIGTERM"); };
      for (const port of [boxPort, clientPort]) {
        await Promise.race([listens(port), ended.then(() => { throw new Error(`mosquitto ended: ${output}`); })]);
      }
    },
    stop: async () => {
      kill();
      await ended;
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    },
  };
}

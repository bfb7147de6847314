import { readFileSync } from "node:fs";
import { join } from "node:path";
import { EnclavePool, EnclaveProcess } from "../enclave/client.ts";
import { HsmProcess, signerOf } from "../hsm/client.ts";
import { startBroker } from "../mqtt/broker.ts";
import { connect } from "../mqtt/connection.ts";
import { Exchange } from "../mqtt/exchange.ts";
import { issueCertificate } from "../mqtt/tls.ts";
import { readTls, tlsPaths } from "../mqtt/tls-files.ts";
import { CertificateCache, writeEnvelope } from "../protocol/envelope.ts";
import { mostFrame } from "../protocol/invitation.ts";
import { NonceBook } from "../protocol/nonces.ts";
import { beginSession } from "../protocol/session.ts";
import { everybodyUp, topic } from "../protocol/topics.ts";
import { systemClock } from "../runtime/clock.ts";
import { toBase64url } from "../runtime/encoding.ts";
import { serveLines } from "../runtime/lines.ts";
import type { Log } from "../runtime/log.ts";
import type { OnStop } from "../runtime/main.ts";
import { unattended } from "../runtime/notify.ts";
import { systemRandom } from "../runtime/random.ts";
import { openStore } from "../store/level.ts";
import type { CoordinatorConfig } from "./config.ts";
import { Coordinator } from "./coordinator.ts";
import type { Certifier, CoordinatorParts } from "./parts.ts";
import { SiteKeeper } from "./site-keeper.ts";

/** The software TLS authority of this site (design §4). */
function certifierOf(state: string, coordinator: string): Certifier {
  const paths = tlsPaths(state, coordinator);
  const authority = { certificate: readFileSync(paths.ca, "utf8"), privateKey: readFileSync(paths.caKey, "utf8") };
  return { ca: authority.certificate, certify: (cn, publicKeyPem) => issueCertificate(authority, cn, publicKeyPem) };
}

type Durable = Pick<CoordinatorParts, "store" | "hsm">;

/**
 * Wires the attestation service to its HSM, its store, its broker and its enclaves, and starts it. What the logic
 * gets as store and HSM is what `around` makes of the real ones.
 */
export async function startCoordinator(
  config: CoordinatorConfig, log: Log, onStop: OnStop, around: (real: Durable) => Durable = (real) => real, service = unattended,
): Promise<void> {
  const { coordinator, state } = config;
  const clock = systemClock;
  const random = systemRandom;

  const opened = await openStore(join(state, "store"));
  onStop(() => opened.close());
  const hsmProcess = new HsmProcess(config.hsm, { log });
  onStop(() => hsmProcess.stop());
  await hsmProcess.start();
  const { store, hsm } = around({ store: opened, hsm: hsmProcess });
  const site = new SiteKeeper(store, hsm);
  const enclaves = new EnclavePool(() => EnclaveProcess.start(new URL("../enclave/main.js", import.meta.url), log));
  onStop(() => enclaves.close());
  enclaves.warm();

  let url = "url" in config.broker ? config.broker.url : "";
  if ("listen" in config.broker) {
    const { listen } = config.broker;
    const broker = await startBroker({ listen, tls: readTls(state, "broker"), kindOf: (name) => site.kindOf(name), log });
    onStop(() => broker.close());
    url = `mqtts://${listen.host}:${broker.port}`;
  }

  const session = await beginSession(signerOf(hsm, "identity"), config.site, coordinator, random);
  const nonces = new NonceBook(clock, random);
  const stateTopic = topic({ kind: "coordinator", what: "state" });
  const say = (what: "ready" | "lost" | "stopped") => writeEnvelope(session, { to: "*", type: "event/state", id: toBase64url(random.bytes(16)), data: { state: what } });
  const transport = connect({
    url, tls: readTls(state, coordinator), clientId: coordinator, log, random,
    will: { topic: stateTopic, payload: await say("lost"), qos: 1, retain: true },
  });
  onStop(() => transport.close());
  const exchange = new Exchange({
    transport, session, clock, random, log, nonces,
    reader: { site: config.site, self: coordinator, keyOf: (sender) => site.keyOf(sender), certificates: new CertificateCache() },
    freshOf: (box) => logic.freshOf(box),
    topicFor: (peer, kind) => (site.kindOf(peer) === "box"
      ? topic({ kind: "box", box: peer, direction: "down", what: kind })
      : topic({ kind: "client", client: peer, direction: "down", what: kind })),
  });
  const logic: Coordinator = new Coordinator({ config, session, hsm, enclaves, store, exchange, nonces, clock, random, log, certifier: certifierOf(state, coordinator), site });
  transport.onState((now, reason) => {
    service.status(now === "up" ? `serves, connected to ${url}` : `waits for its broker: ${reason ?? url}`);
    if (now === "up") void say("ready").then((payload) => transport.publish(stateTopic, payload, { qos: 1, retain: true })).catch((error: unknown) => { log.warn("state not published", { error: String(error) }); });
  });
  service.ready(() => hsm.selfTest(), log);
  await transport.subscribe(everybodyUp);
  onStop(async () => { logic.stop(); await transport.publish(stateTopic, await say("stopped"), { qos: 1, retain: true }); });
  logic.start();
  if (config.join !== undefined) {
    const { host, port } = config.join.listen;
    const joins = await serveLines({ host, port, mostLength: mostFrame, answer: (line) => logic.invitations.hear(line) });
    onStop(() => joins.close());
  }
  log.info("started", { site: config.site, broker: url, version: site.ref.version, sealed: site.current.body.sealed });
}

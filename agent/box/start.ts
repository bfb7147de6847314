import { join } from "node:path";
import { HsmProcess, signerOf } from "../hsm/client.ts";
import { connect } from "../mqtt/connection.ts";
import { Exchange } from "../mqtt/exchange.ts";
import { readTls } from "../mqtt/tls-files.ts";
import { CertificateCache, writeEnvelope } from "../protocol/envelope.ts";
import { NonceBook } from "../protocol/nonces.ts";
import { beginSession } from "../protocol/session.ts";
import { topic } from "../protocol/topics.ts";
import { systemClock } from "../runtime/clock.ts";
import { toBase64url } from "../runtime/encoding.ts";
import type { Log } from "../runtime/log.ts";
import { systemRandom } from "../runtime/random.ts";
import type { OnStop } from "../runtime/main.ts";
import { unattended } from "../runtime/notify.ts";
import { openStore } from "../store/level.ts";
import { Box } from "./box.ts";
import type { BoxConfig } from "./config.ts";
import { consoleDisplay, noDisplay } from "./display.ts";
import type { BoxParts } from "./parts.ts";
import { RecordKeeper } from "./record-keeper.ts";

type Durable = Pick<BoxParts, "store" | "hsm">;

/**
 * Wires the box's logic to its HSM, its store and the broker, and starts it. Sensor and panel come from the
 * caller: `startBridge` is given the site record, by which a sensor may still be paired or not. What the logic
 * gets as store and HSM is what `around` makes of the real ones.
 */
export async function startBox(
  config: BoxConfig, log: Log, startBridge: (records: RecordKeeper) => Promise<Pick<BoxParts, "bridge" | "panel">>, onStop: OnStop,
  around: (real: Durable) => Durable = (real) => real, service = unattended,
): Promise<void> {
  const { site, box } = config;
  const clock = systemClock;
  const random = systemRandom;

  const opened = await openStore(join(config.state, "store"));
  onStop(() => opened.close());
  const hsmProcess = new HsmProcess(config.hsm, { log });
  onStop(() => hsmProcess.stop());
  const { store, hsm } = around({ store: opened, hsm: hsmProcess });
  const records = new RecordKeeper(store, log);
  const [{ bridge, panel }] = await Promise.all([startBridge(records), hsmProcess.start()]);
  const session = await beginSession(signerOf(hsm, "identity"), site, box, random);

  const nonces = new NonceBook(clock, random);
  const state = topic({ kind: "box", box, direction: "up", what: "state" });
  const say = (what: "ready" | "lost" | "stopped") => writeEnvelope(session, { to: "*", type: "event/state", id: toBase64url(random.bytes(16)), data: { state: what } });
  const transport = connect({
    url: config.broker, tls: readTls(config.state, box), clientId: box,
    will: { topic: state, payload: await say("lost"), qos: 1, retain: true }, log, random,
  });
  onStop(() => transport.close());
  let coordinatorNonce: string | undefined;
  const exchange = new Exchange({
    transport, session, clock, random, log, nonces,
    reader: { site, self: box, keyOf: (sender) => records.keyOf(sender), certificates: new CertificateCache() },
    freshOf: () => coordinatorNonce,
    topicFor: (_peer, kind) => topic({ kind: "box", box, direction: "up", what: kind }),
  });
  const ownDisplay = config.display === "console" ? consoleDisplay((line) => { process.stdout.write(`${box} │ ${line}\n`); }) : noDisplay;
  const logic = new Box({
    site, box, boot: session.certificate.body.boot, hsm, bridge, store, exchange, nonces, clock, random, log, records,
    display: panel?.display(ownDisplay) ?? ownDisplay, ...(panel === undefined ? {} : { panel }),
  }, config, (nonce) => { coordinatorNonce = nonce; });
  transport.onState((now, reason) => {
    service.status(now === "up" ? `serves, connected to ${config.broker}` : `waits for its broker: ${reason ?? config.broker}`);
    if (now === "up") void say("ready").then((payload) => transport.publish(state, payload, { qos: 1, retain: true })).catch((error: unknown) => { log.warn("state not published", { error: String(error) }); });
  });
  // A broker that is away is no reason to end a box: it waits as long as it takes.
  service.ready(() => Promise.all([hsm.selfTest(), bridge.status()]), log);
  await transport.subscribe([
    topic({ kind: "box", box, direction: "down", what: "request" }),
    topic({ kind: "box", box, direction: "down", what: "response" }),
    topic({ kind: "coordinator", what: "heartbeat" }),
  ]);
  onStop(async () => { logic.stop(); await transport.publish(state, await say("stopped"), { qos: 1, retain: true }); });
  logic.start();
  log.info("started", { site });
}

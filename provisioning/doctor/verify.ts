import { createHash, X509Certificate } from "node:crypto";
import { join } from "node:path";
import { HsmProcess, signerOf } from "../../agent/hsm/client.ts";
import { Exchange } from "../../agent/mqtt/exchange.ts";
import { readTls } from "../../agent/mqtt/tls-files.ts";
import { CertificateCache } from "../../agent/protocol/envelope.ts";
import { clientRequests } from "../../agent/protocol/messages.ts";
import { NonceBook } from "../../agent/protocol/nonces.ts";
import { beginSession } from "../../agent/protocol/session.ts";
import { refOf, type SiteRecord } from "../../agent/protocol/site-record.ts";
import { topic } from "../../agent/protocol/topics.ts";
import { systemClock } from "../../agent/runtime/clock.ts";
import { toBase64url, utf8 } from "../../agent/runtime/encoding.ts";
import { fingerprintOf } from "../../agent/runtime/fingerprint.ts";
import { ShardkeepError } from "../../agent/runtime/errors.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { systemRandom } from "../../agent/runtime/random.ts";
import type { BoxInstallation } from "../machine/installation.ts";
import { isRunning } from "../machine/lock.ts";
import { addressOf, handshake, joinBroker, reach } from "./broker.ts";
import { examine, type Check, type Finding } from "./check.ts";
import { deviceChecks } from "./devices.ts";
import { recordIn, readStore } from "./store.ts";
import { certificateCheck } from "./tls.ts";

const askMs = 15_000;

/** Throws KEYS_FOREIGN for a token of another box, NAME_TAKEN where the record does not name this one. */
export function judgeIdentity({ body }: SiteRecord, box: string, identity: string): string {
  const named = body.boxes.find(({ id }) => id === box);
  if (named === undefined) throw new ShardkeepError("NOT_JOINED", `record version ${body.version} names no ${box}`, { remedy: body.retired?.includes(box) === true ? "it has retired: shardkeep box reset" : "shardkeep site approve REQUEST at the coordinator, then box accept here" });
  if (named.key !== identity) throw new ShardkeepError("KEYS_FOREIGN", `the identity key in the token is not the one of ${box} in the site record`, { remedy: "restore token and state folder from the same backup" });
  return `${fingerprintOf(identity)}, as in record version ${body.version}`;
}

/** Throws TLS_INVALID. */
export function judgeAuthority({ body }: SiteRecord, ca: string): string {
  if (createHash("sha256").update(new X509Certificate(ca).raw).digest("base64url") !== body.tlsAuthority) throw new ShardkeepError("TLS_INVALID", "the TLS authority's certificate is not the one in the site record", { remedy: "take the site's answer once more: shardkeep box accept" });
  return "the TLS authority is the one in the site record";
}

/** A signed word to the coordinator and its signed answer: each knows the other by the site record. */
async function greetCoordinator({ config, site, name, state }: BoxInstallation, record: SiteRecord, hsm: HsmProcess, signal: AbortSignal): Promise<string> {
  const { coordinator } = record.body;
  const [clock, random] = [systemClock, systemRandom];
  const session = await beginSession(signerOf(hsm, "identity"), site, name, random);
  const answers = topic({ kind: "box", box: name, direction: "down", what: "response" });
  const transport = await joinBroker(config.broker, readTls(state, name), name, [answers], signal);
  try {
    const exchange = new Exchange({
      transport, session, clock, random, log: silentLog, nonces: new NonceBook(clock, random),
      reader: { site, self: name, keyOf: (sender) => (sender === coordinator.id ? coordinator.key : undefined), certificates: new CertificateCache() },
      freshOf: () => undefined, topicFor: (_peer, what) => topic({ kind: "box", box: name, direction: "up", what }),
    });
    const nonce = toBase64url(random.bytes(16));
    const answer = await exchange.request(clientRequests, "hello", coordinator.id, { nonce });
    const theirs = refOf(answer.record);
    return `${coordinator.id} heard ${name} and answered; it has record version ${theirs.version}${theirs.version === record.body.version ? "" : `, this box ${record.body.version}: the agent catches up`}`;
  } finally {
    await transport.close();
  }
}

/**
 * The self-test of a box that has joined, before its agent is started: it needs token, sensor and the box's place at the
 * broker for itself. Changes nothing. Rejects with ALREADY_OWNED, NOT_JOINED, STORE_….
 */
export async function verifyBox(of: BoxInstallation): Promise<Finding[]> {
  const { name, site, state, config } = of;
  if (isRunning(of.hsm)) throw new ShardkeepError("ALREADY_OWNED", `the agent of ${name} runs`, { remedy: "it tests itself with every heartbeat: `shardkeep status` at a client; or stop it first" });
  const record = await readStore(join(state, "store"), (store) => recordIn(store, site));
  const hsm = new HsmProcess(of.hsm, { log: silentLog });
  const started = hsm.start();
  started.catch(() => undefined);
  const withHsm = (work: (signal: AbortSignal) => Promise<string>) => async (signal: AbortSignal): Promise<string> => {
    await started;
    return await work(signal);
  };
  const checks: Check[] = [
    { name: "token", deadlineMs: askMs, run: withHsm(async () => { await hsm.selfTest(); const { model, serial } = await hsm.info(); return `${model} ${serial} passes its self-test`; }) },
    { name: "identity", deadlineMs: askMs, run: withHsm(async () => judgeIdentity(record, name, toBase64url(await hsm.publicKey("identity")))) },
    { name: "challenge secret", deadlineMs: askMs, run: withHsm(async () => { await hsm.mac({ box: name, message: utf8("shardkeep/v1/verify") }); return "it is in the token, and answers"; }) },
    certificateCheck(state, name),
    { name: "authority", run: () => judgeAuthority(record, readTls(state, name).ca) },
    ...deviceChecks(config, false),
    { name: "broker", deadlineMs: askMs, run: (signal) => reach(addressOf(config.broker), signal) },
    { name: "broker tls", deadlineMs: askMs, run: (signal) => handshake(addressOf(config.broker), readTls(state, name), name, signal) },
    { name: "coordinator", deadlineMs: askMs, run: withHsm((signal) => greetCoordinator(of, record, hsm, signal)) },
  ];
  return await examine(checks, systemClock).finally(() => hsm.stop());
}

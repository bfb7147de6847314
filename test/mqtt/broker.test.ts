import t, { type Test } from "tap";
import mqttPacket from "mqtt-packet";
import { startBroker, type Broker } from "../../agent/mqtt/broker.ts";
import { connect } from "../../agent/mqtt/connection.ts";
import type { Kind } from "../../agent/mqtt/rights.ts";
import { topic } from "../../agent/protocol/topics.ts";
import { utf8 } from "../../agent/runtime/encoding.ts";
import { silentLog, type Log } from "../../agent/runtime/log.ts";
import { systemRandom } from "../../agent/runtime/random.ts";
import { certificates, identity } from "./support/certificates.ts";
import { raw } from "./support/raw.ts";
import { until } from "./support/wait.ts";

/** What only the embedded broker does: it asks the site record, and it says no aloud. */
const site = await certificates(["box-1", "box-2", "alice", "coordinator"]);
const down = (box: string) => topic({ kind: "box", box, direction: "down", what: "request" });
const up = (box: string) => topic({ kind: "box", box, direction: "up", what: "response" });

interface Scene {
  readonly broker: Broker;
  readonly url: string;
  /** May be changed while the broker runs, as a site record may. */
  readonly kinds: Map<string, Kind>;
  readonly said: string[];
}

async function scene(c: Test): Promise<Scene> {
  const kinds = new Map<string, Kind>([["box-1", "box"], ["box-2", "box"], ["alice", "client"], ["coordinator", "coordinator"]]);
  const said: string[] = [];
  const warn: Log["warn"] = (event, fields) => { said.push(`${event} ${JSON.stringify(fields)}`); };
  const broker = await startBroker({ listen: { host: "127.0.0.1", port: 0 }, tls: site.broker, kindOf: (name) => kinds.get(name), log: { ...silentLog, warn } });
  c.teardown(() => broker.close());
  return { broker, kinds, said, url: `mqtts://127.0.0.1:${broker.port}` };
}

void t.test("a forbidden subscription is answered 0x80, a granted one beside it stands", async (c) => {
  const { url } = await scene(c);
  const box = await raw(url, site.of("box-1"), "box-1");
  await c.rejects(box.client.subscribeAsync([down("box-2"), down("box-1")], { qos: 1 }), /Unspecified error/);
  await c.rejects(box.client.subscribeAsync("shardkeep/v1/box/box-1/down/+", { qos: 1 }), /Unspecified error/, "single topics only");
  const coordinator = await raw(url, site.of("coordinator"), "coordinator");
  await coordinator.client.publishAsync(down("box-1"), "granted", { qos: 1 });
  await until(() => box.got.length > 0, "the granted one");
  await c.rejects(coordinator.client.subscribeAsync("#", { qos: 1 }), /Unspecified error/, "nor may the coordinator read all");
});

void t.test("a forbidden publish ends the connection", async (c) => {
  const { url, said } = await scene(c);
  const box = await raw(url, site.of("box-1"), "box-1");
  box.client.publish(up("box-2"), "forged", { qos: 1 });
  await box.closed;
  c.match(said, [/^publish refused .*box-2/, /^connection ended/]);
});

void t.test("QoS 2 and persistent sessions, of which much would have to be kept, are refused", async (c) => {
  const { url, said } = await scene(c);
  const box = await raw(url, site.of("box-1"), "box-1");
  box.client.publish(up("box-1"), "twice as sure", { qos: 2 });
  await box.closed;
  await c.rejects(raw(url, site.of("box-1"), "box-1", { clean: false }), /Not authorized/);
  c.match(said.at(-1), /persistent session/);
});

void t.test("who is not in the record, or asks for another's client id, is refused by name", async (c) => {
  const { url, kinds, said } = await scene(c);
  kinds.delete("box-2");
  await c.rejects(raw(url, site.of("box-2"), "box-2"), /Not authorized/);
  c.match(said.at(-1), /the site knows no box-2/);
  for (const [name, clientId] of [
    ["box-1", "box-2"], ["box-1", "box-1.00000000"], ["box-1", ""], ["alice", "box-1"], ["alice", "alice"], ["alice", "alice.0000000"], ["alice", "alice.0000000g"], ["alice", "bob.00000000"],
  ] as const) {
    said.length = 0;
    await c.rejects(raw(url, site.of(name), clientId), /Not authorized/, `${name} as ${clientId}`);
    c.match(said.at(-1), new RegExp(`not for ${name}`));
  }
});

void t.test("a certificate without a name, or with two, is none of ours", async (c) => {
  const { url } = await scene(c);
  const { X509CertificateGenerator, PemConverter, X509Certificate } = await import("@peculiar/x509");
  const ecdsa = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const subtle = globalThis.crypto.subtle;
  const keys = await subtle.generateKey(ecdsa, true, ["sign", "verify"]);
  if (!("privateKey" in keys)) throw new Error("no key pair");
  const signingKey = await subtle.importKey("pkcs8", PemConverter.decodeFirst(site.authority.privateKey), ecdsa, false, ["sign"]);
  for (const subject of ["O=box-1", "CN=box-1,CN=box-2"]) {
    const certificate = await X509CertificateGenerator.create({
      subject, issuer: new X509Certificate(site.authority.certificate).subject, publicKey: keys.publicKey, signingKey, signingAlgorithm: ecdsa,
      notBefore: new Date(0), notAfter: new Date("9999-12-31T23:59:59Z"),
    });
    const key = PemConverter.encode(await subtle.exportKey("pkcs8", keys.privateKey), "PRIVATE KEY");
    await c.rejects(raw(url, { ca: site.authority.certificate, cert: certificate.toString("pem"), key }, "box-1"), subject);
  }
});

void t.test("an identity that leaves the record is out at its next message, and nothing reaches it", async (c) => {
  const { url, kinds, broker } = await scene(c);
  const coordinator = await raw(url, site.of("coordinator"), "coordinator");
  for (const how of ["publishes", "subscribes", "is sent something", "is disconnected", "dies with a will"]) {
    kinds.set("box-1", "box");
    const box = await raw(url, site.of("box-1"), "box-1", { will: { topic: up("box-1"), payload: Buffer.from("will"), qos: 1, retain: false } });
    await box.client.subscribeAsync(down("box-1"), { qos: 1 });
    await coordinator.client.subscribeAsync("shardkeep/v1/box/+/up/+", { qos: 1 });
    kinds.delete("box-1");
    if (how === "publishes") box.client.publish(up("box-1"), "late", { qos: 1 });
    else if (how === "subscribes") await box.client.subscribeAsync(down("box-1"), { qos: 0 }).catch(() => undefined);
    else if (how === "is sent something") await coordinator.client.publishAsync(down("box-1"), "late", { qos: 1 });
    else if (how === "is disconnected") broker.disconnect("box-1");
    else box.cut();
    await box.closed;
    c.same(box.got, [], how);
    await c.rejects(raw(url, site.of("box-1"), "box-1"), /Not authorized/);
  }
  await coordinator.client.publishAsync(topic({ kind: "coordinator", what: "state" }), "echo", { qos: 1 });
  c.same(coordinator.got, [], "neither its messages nor its will");
});

void t.test("disconnect ends every connection of that identity, and no other", async (c) => {
  const { url, broker } = await scene(c);
  const both = [await raw(url, site.of("alice"), "alice.00000001"), await raw(url, site.of("alice"), "alice.00000002")];
  const box = await raw(url, site.of("box-1"), "box-1");
  broker.disconnect("alice");
  broker.disconnect("nobody");
  await Promise.all(both.map(({ closed }) => closed));
  await box.client.publishAsync(up("box-1"), "still here", { qos: 1 });
  c.ok(box.client.connected);
});

void t.test("a packet is refused by the length that it announces", async (c) => {
  const { url, said } = await scene(c);
  const box = await raw(url, site.of("box-1"), "box-1");
  // PUBLISH with a remaining length of 268,435,455 and nothing after it (MQTT 3.1.1 §2.2.3).
  box.client.stream.write(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]));
  await box.closed;
  c.match(said, [/a packet of more than 525312 bytes/]);
});

void t.test("who does not read is let go when too much waits for it", async (c) => {
  const { url, said } = await scene(c);
  const coordinator = await raw(url, site.of("coordinator"), "coordinator");
  const deaf = await raw(url, site.of("box-1"), "box-1");
  await deaf.client.subscribeAsync(down("box-1"), { qos: 0 });
  deaf.client.stream.unpipe();
  deaf.client.stream.pause();
  for (let i = 0; i < 100; i++) await coordinator.client.publishAsync(down("box-1"), Buffer.alloc(200_000), { qos: 1 });
  await until(() => said.length > 0, "it is let go");
  c.match(said, [/more than 4194304 bytes wait for a connection/]);
  deaf.cut();
});

void t.test("one identity has at most 32 connections", async (c) => {
  const { url } = await scene(c);
  const many = await Promise.all(Array.from({ length: 32 }, (_, i) => raw(url, site.of("alice"), `alice.${i.toString(16).padStart(8, "0")}`)));
  await c.rejects(raw(url, site.of("alice"), "alice.ffffffff"));
  many[0]!.cut();
  await many[0]!.closed;
  await until(() => many[0]!.client.stream.destroyed, "one left");
  let again: unknown;
  for (let i = 0; i < 50 && again === undefined; i++) again = await raw(url, site.of("alice"), "alice.ffffffff").catch(() => undefined);
  c.ok(again, "another may come");
});

void t.test("a port that is taken is named", async (c) => {
  const { broker } = await scene(c);
  const again = startBroker({ listen: { host: "127.0.0.1", port: broker.port }, tls: site.broker, kindOf: () => undefined, log: silentLog });
  await c.rejects(again, { code: "LISTEN_FAILED", message: `cannot listen on 127.0.0.1:${broker.port}` });
});

void t.test("an identity that becomes another kind hears no more than that kind may", async (c) => {
  const { url, kinds } = await scene(c);
  const watcher = await raw(url, site.of("coordinator"), "coordinator");
  await watcher.client.subscribeAsync(["shardkeep/v1/box/+/up/+", topic({ kind: "site", what: "event" })], { qos: 1 });
  const box = await raw(url, site.of("box-1"), "box-1");
  kinds.set("coordinator", "box").set("box-2", "coordinator");
  await box.client.publishAsync(up("box-1"), "not for a box", { qos: 1 });
  const next = await raw(url, site.of("box-2"), "box-2");
  await next.client.publishAsync(topic({ kind: "site", what: "event" }), "echo", { qos: 1 });
  await until(() => watcher.got.length > 0, "the echo");
  c.same(watcher.got, ["shardkeep/v1/site/event echo"]);
});

void t.test("closing ends the connections, the silent ones too, and at once", { timeout: 8000 }, async (c) => {
  const { broker, url } = await scene(c);
  const box = await raw(url, site.of("box-1"), "box-1");
  const { connect: tlsConnect } = await import("node:tls");
  const silent = tlsConnect({ host: "127.0.0.1", port: broker.port, ...site.of("box-2") });
  const silentClosed = new Promise<void>((resolve) => { silent.on("close", () => { resolve(); }).on("error", () => undefined); });
  await new Promise<void>((resolve) => { silent.once("secureConnect", () => { resolve(); }); });
  await broker.close();
  await Promise.all([box.closed, silentClosed]);
  await c.rejects(raw(url, site.of("box-1"), "box-1"), /ECONNREFUSED/);
});

void t.test("a broker's certificate is no client's", async (c) => {
  const { url, kinds } = await scene(c);
  kinds.set("box-9", "box");
  await c.rejects(raw(url, await identity(site.authority, "box-9", ["127.0.0.1"]), "box-9"), "extended key usage (RFC 5280 §4.2.1.12)");
  c.ok(await raw(url, await identity(site.authority, "box-9"), "box-9"));
});

void t.test("our connection: what it is refused, it says with a remedy, and keeps trying", async (c) => {
  const { url, kinds } = await scene(c);
  kinds.delete("box-1");
  const said: string[] = [];
  const transport = connect({
    url, tls: site.of("box-1"), clientId: "box-1", random: { bytes: (length) => new Uint8Array(length).fill(10) },
    log: { ...silentLog, warn: (_event, fields) => { said.push(String(fields?.["error"])); } },
  });
  c.teardown(() => transport.close());
  const reasons: (string | undefined)[] = [];
  transport.onState((state, reason) => { if (state === "down") reasons.push(reason); });
  await until(() => said.length >= 2, "two attempts");
  c.match(said[0], /^BROKER_REFUSED: .*refuses box-1.*Not authorized\n {2}next: the certificate's name must be in the site record/s);
  c.match(reasons[0], /refuses box-1/);
  await c.rejects(transport.publish(up("box-1"), utf8("x")), { code: "NOT_CONNECTED" });
  kinds.set("box-1", "box");
  await transport.subscribe([down("box-1")]);
  c.ok(transport.up);
  await c.rejects(transport.subscribe([down("box-2")]), { code: "RIGHTS_REFUSED", remedy: /site record/ });
  await transport.publish(up("box-1"), utf8("still up"), { qos: 1 });
  await transport.close();
});

void t.test("our connection: a right that is refused at its start ends the waiting, not the connection", async (c) => {
  const { url } = await scene(c);
  const transport = connect({ url, tls: site.of("box-1"), clientId: "box-1", random: systemRandom, log: silentLog });
  c.teardown(() => transport.close());
  await c.rejects(transport.subscribe([down("box-2")]), { code: "RIGHTS_REFUSED" });
  await transport.subscribe([down("box-1")]);
  await transport.publish(up("box-1"), utf8("as before"), { qos: 1 });
});

void t.test("mqtt-packet keeps no cache of numbers", (c) => {
  c.equal((mqttPacket.writeToStream as { cacheNumbers?: boolean }).cacheNumbers, false);
  c.end();
});

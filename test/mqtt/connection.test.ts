import { connect as connectTcp, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import t, { type Test } from "tap";
import { generate, parser, type Packet } from "mqtt-packet";
import { connect, type ConnectionOptions } from "../../agent/mqtt/connection.ts";
import { connectionError, isRefusal } from "../../agent/mqtt/errors.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { certificates } from "./support/certificates.ts";
import { freePort, until } from "./support/wait.ts";

/** Our connection against a broker that misbehaves as told. */
const site = await certificates(["box-1"]);
/** Comes back at once. */
const random = { bytes: (length: number) => new Uint8Array(new ArrayBuffer(length)) };

interface Scripted {
  readonly url: string;
  readonly packets: Packet[];
  readonly sockets: TLSSocket[];
}

/** A TLS server that answers each packet with what `answer` says, or with nothing. */
async function scripted(c: Test, answer: (packet: Packet) => Packet | undefined): Promise<Scripted> {
  const packets: Packet[] = [];
  const sockets: TLSSocket[] = [];
  const server = createTlsServer({ ...site.broker, requestCert: true }, (socket) => {
    sockets.push(socket);
    const read = parser();
    read.on("packet", (packet) => {
      packets.push(packet);
      const reply = answer(packet);
      if (reply !== undefined) socket.write(generate(reply));
    });
    socket.on("data", (chunk: Buffer) => { read.parse(chunk); }).on("error", () => undefined);
  });
  c.teardown(() => { for (const socket of sockets) socket.destroy(); server.close(); });
  return { url: `mqtts://127.0.0.1:${await portOf(server)}`, packets, sockets };
}

function portOf(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
}

const accept: Packet = { cmd: "connack", returnCode: 0, sessionPresent: false };
const granted = (packet: Packet): Packet => ({ cmd: "suback", messageId: packet.messageId ?? 0, granted: [1] });

const waits = (errors: readonly string[]): number[] => errors.map((line) => Number(line.slice(line.lastIndexOf("\n"))));

function open(c: Test, options: Partial<ConnectionOptions> & { url: string }) {
  const errors: string[] = [];
  const transport = connect({
    tls: site.of("box-1"), clientId: "box-1", random,
    log: { ...silentLog, warn: (_event, fields) => { errors.push(`${String(fields?.["error"])}\n${String(fields?.["againMs"])}`); } }, ...options,
  });
  c.teardown(() => transport.close());
  return { transport, errors };
}

void t.test("what cannot work is refused at once", (c) => {
  for (const url of ["", "mqtts://host", "mqtt://host:8883", "https://host:8883", "host:8883", "mqtts://:8883", "mqtts://host:99999"]) {
    c.throws(() => open(c, { url }), { code: "BROKER_URL_INVALID", remedy: /mqtts:\/\/host:port/ }, url);
  }
  const other = { ...site.of("box-1"), key: site.broker.key };
  for (const tls of [{ ca: "", cert: "x", key: "y" }, { ...site.of("box-1"), key: "" }, { ...site.of("box-1"), ca: "" }, other]) {
    c.throws(() => open(c, { url: "mqtts://127.0.0.1:1", tls }), { code: "TLS_INVALID", remedy: /join again/ });
  }
  c.end();
});

void t.test("an IPv6 address may be named", async (c) => {
  const { errors } = open(c, { url: "mqtts://[::1]:1" });
  await until(() => errors.length > 0, "it tries");
  c.match(errors[0], /^BROKER_UNREACHABLE: cannot reach mqtts:\/\/\[::1\]:1: .*(ECONNREFUSED|EADDRNOTAVAIL|EAFNOSUPPORT)/);
});

void t.test("each reason has a name and a remedy", async (c) => {
  const port = await freePort();
  const nobody = open(c, { url: `mqtts://127.0.0.1:${port}` });
  await until(() => nobody.errors.length > 0, "nobody there");
  c.match(nobody.errors[0], /^BROKER_UNREACHABLE: .*ECONNREFUSED.*\n {2}next: check that the broker runs/s);

  const { url } = await scripted(c, () => ({ cmd: "connack", returnCode: 2, sessionPresent: false }));
  const refused = open(c, { url });
  await until(() => refused.errors.length > 0, "refused");
  c.match(refused.errors[0], /^BROKER_REFUSED: .*\n {2}next: the client id must be the certificate's name/s);

  // What Node calls the alerts of RFC 8446 §6.2 and the verdicts of OpenSSL's verify(1).
  const named = (code: string): string => connectionError(Object.assign(new Error("x"), { code }), { url, clientId: "box-1" }).code;
  for (const alert of ["ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", "ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE"]) c.equal(named(alert), "CERTIFICATE_REFUSED");
  for (const verdict of ["SELF_SIGNED_CERT_IN_CHAIN", "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "ERR_TLS_CERT_ALTNAME_INVALID"]) c.equal(named(verdict), "BROKER_UNTRUSTED");
  for (const other of ["ECONNRESET", "ENOTFOUND", "EHOSTUNREACH", "ERR_SSL_WRONG_VERSION_NUMBER"]) c.equal(named(other), "BROKER_UNREACHABLE");
});

void t.test("a refusal is told from what may pass by itself", async (c) => {
  const said: unknown[] = [];
  const answers = [3, 5];
  const { url } = await scripted(c, () => ({ cmd: "connack", returnCode: answers.shift() ?? 3, sessionPresent: false }));
  open(c, { url }).transport.onState((state, reason, refusal) => { said.push([state, typeof reason, refusal?.code]); });
  await until(() => said.length >= 2, "twice");
  c.same(said.slice(0, 2), [["down", "string", undefined], ["down", "string", "BROKER_REFUSED"]]);
  const isNo = (code: string | number): boolean => isRefusal(connectionError(Object.assign(new Error("x"), { code }), { url, clientId: "box-1" }));
  c.same([1, 2, 3, 4, 5].map(isNo), [true, true, false, true, true]);
  c.same(["ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", "SELF_SIGNED_CERT_IN_CHAIN", "ECONNRESET"].map(isNo), [true, false, false]);
});

void t.test("a broker says aloud that it will not have our certificate", async (c) => {
  const server = createTlsServer({ ...site.broker, requestCert: true });
  c.teardown(() => { server.close(); });
  const foreign = await certificates(["box-1"]);
  const { errors } = open(c, { url: `mqtts://127.0.0.1:${await portOf(server)}`, tls: { ...foreign.of("box-1"), ca: site.authority.certificate } });
  await until(() => errors.length > 0, "our certificate is refused");
  c.match(errors[0], /^(CERTIFICATE_REFUSED|NOT_CONNECTED|BROKER_UNREACHABLE): .*\n {2}next: /s, "or ends the connection: with TLS 1.3 the alert may come too late");
});

void t.test("a message that the broker did not take is not sent later: the caller hears it, and decides", async (c) => {
  const broker = await scripted(c, ({ cmd }) => (cmd === "connect" ? accept : undefined));
  const { transport } = open(c, { url: broker.url });
  await c.rejects(transport.publish("t", Buffer.from("too early")), { code: "NOT_CONNECTED", retryable: true });
  await until(() => transport.up, "up");
  const unanswered = transport.publish("t", Buffer.from("half sent"), { qos: 1 });
  await until(() => broker.packets.some(({ cmd }) => cmd === "publish"), "it left");
  broker.sockets[0]?.destroy();
  await c.rejects(unanswered, { code: "NOT_CONNECTED", message: /lost the connection before the broker took a message/ });
  await until(() => transport.up && broker.sockets.length === 2, "up again");
  await transport.publish("t", Buffer.from("echo"));
  await until(() => broker.packets.filter(({ cmd }) => cmd === "publish").length >= 2, "the echo");
  c.same(broker.packets.flatMap((packet) => (packet.cmd === "publish" ? [packet.payload.toString()] : [])), ["half sent", "echo"]);
});

void t.test("nor is one that stuck in our own socket forgotten", async (c) => {
  const broker = await scripted(c, ({ cmd }) => (cmd === "connect" ? accept : undefined));
  const { transport } = open(c, { url: broker.url });
  await until(() => transport.up, "up");
  broker.sockets[0]?.pause();
  const stuck = Array.from({ length: 100 }, () => transport.publish("t", Buffer.alloc(200_000)));
  const settled = Promise.allSettled(stuck);
  broker.sockets[0]?.destroy();
  c.ok((await settled).some(({ status }) => status === "rejected"));
});

void t.test("no more than 1000 messages wait for a broker", async (c) => {
  const broker = await scripted(c, ({ cmd }) => (cmd === "connect" ? accept : undefined));
  const { transport } = open(c, { url: broker.url });
  await until(() => transport.up, "up");
  const many = Array.from({ length: 1000 }, () => transport.publish("t", Buffer.from("x"), { qos: 1 }));
  await c.rejects(transport.publish("t", Buffer.from("x")), { code: "BROKER_BUSY", retryable: true });
  const settled = Promise.allSettled(many);
  await transport.close();
  c.same(new Set((await settled).map(({ status }) => status)), new Set(["rejected"]));
});

void t.test("`up` is said when every subscription stands, also one that was asked for meanwhile", async (c) => {
  let release: () => void = () => undefined;
  const broker = await scripted(c, (packet) => {
    if (packet.cmd === "connect") return accept;
    if (packet.cmd !== "subscribe") return undefined;
    if (broker.packets.filter(({ cmd }) => cmd === "subscribe").length > 1) return granted(packet);
    release = () => { broker.sockets[0]?.write(generate(granted(packet))); };
    return undefined;
  });
  const { transport } = open(c, { url: broker.url });
  const states: string[] = [];
  transport.onState((state) => { states.push(state); });
  const first = transport.subscribe(["a"]);
  await until(() => broker.packets.some(({ cmd }) => cmd === "subscribe"), "asked");
  const second = transport.subscribe(["b"]);
  c.same([transport.up, states], [false, []]);
  release();
  await Promise.all([first, second]);
  c.same([transport.up, states], [true, ["up"]]);
  c.same(broker.packets.flatMap((packet) => (packet.cmd === "subscribe" ? packet.subscriptions.map(({ topic, qos }) => `${topic} ${qos}`) : [])), ["a 1", "b 1"]);
});

void t.test("a connection that ends while it subscribes is only a connection that ended", async (c) => {
  const broker = await scripted(c, (packet) => {
    if (packet.cmd === "connect") return accept;
    if (packet.cmd === "subscribe" && broker.sockets.length > 2) return granted(packet);
    broker.sockets.at(-1)?.destroy();
    return undefined;
  });
  const { transport } = open(c, { url: broker.url });
  await transport.subscribe(["a"]);
  c.equal(broker.sockets.length, 3);
});

void t.test("the waits double with every failure, and begin anew after ten good seconds", async (c) => {
  const broker = await scripted(c, ({ cmd }) => (cmd === "connect" ? accept : undefined));
  const clock = new VirtualClock();
  const { transport, errors } = open(c, { url: broker.url, clock, random: { bytes: (length) => new Uint8Array(new ArrayBuffer(length)).fill(255) } });
  const loseIt = async (goodMs: number): Promise<void> => {
    await until(() => transport.up, "up");
    await clock.advance(goodMs);
    broker.sockets.at(-1)?.destroy();
    const before = errors.length;
    await until(() => errors.length > before, "lost");
    await clock.advance(waits(errors).at(-1) ?? 0);
  };
  for (const goodMs of [0, 9999, 0, 10_000, 0]) await loseIt(goodMs);
  c.same(waits(errors), [1000, 2000, 4000, 1000, 2000]);
});

void t.test("a broker that grants nothing is left after ten seconds", async (c) => {
  const broker = await scripted(c, ({ cmd }) => (cmd === "connect" ? accept : undefined));
  const clock = new VirtualClock();
  const { transport, errors } = open(c, { url: broker.url, clock });
  const waiting = c.rejects(transport.subscribe(["a"]), { code: "NOT_CONNECTED" });
  await until(() => broker.packets.some(({ cmd }) => cmd === "subscribe"), "asked");
  await clock.advance(9999);
  c.same(errors, []);
  await clock.advance(1);
  await until(() => errors.length > 0, "left");
  await transport.close();
  await waiting;
});

void t.test("leaving waits a second for what is under way, not for ever", { timeout: 8000 }, async (c) => {
  const broker = await scripted(c, ({ cmd }) => (cmd === "connect" ? accept : undefined));
  const clock = new VirtualClock();
  const { transport } = open(c, { url: broker.url, clock });
  await until(() => transport.up, "up");
  const unanswered = c.rejects(transport.publish("t", Buffer.from("x"), { qos: 1 }), { code: "NOT_CONNECTED" });
  const closing = transport.close();
  await clock.advance(1000);
  await closing;
  await unanswered;
});

void t.test("closing: once, in good order, and with everybody told", async (c) => {
  const broker = await scripted(c, (packet) => (packet.cmd === "connect" ? accept : undefined));
  const { transport } = open(c, { url: broker.url });
  await until(() => transport.up, "up");
  await transport.close();
  await transport.close();
  c.equal(broker.packets.at(-1)?.cmd, "disconnect");
  await c.rejects(transport.subscribe(["a"]), { code: "NOT_CONNECTED" });
  await c.rejects(transport.publish("t", Buffer.from("x")), { code: "NOT_CONNECTED" });

  const { transport: never } = open(c, { url: `mqtts://127.0.0.1:${await freePort()}` });
  const waiting = never.subscribe(["a"]);
  await never.close();
  await c.rejects(waiting, { code: "NOT_CONNECTED", message: /is closed/ });
  c.equal(broker.sockets.length, 1, "and it does not come back");
});

void t.test("what the broker says twice arrives twice: dropping is for who reads the message's own id", async (c) => {
  const broker = await scripted(c, (packet) => (packet.cmd === "connect" ? accept : undefined));
  const { transport } = open(c, { url: broker.url });
  const got: string[] = [];
  transport.onMessage((topic, payload, retained) => { got.push(`${topic} ${Buffer.from(payload).toString()} ${retained}`); });
  await until(() => transport.up, "up");
  for (const dup of [false, true]) broker.sockets[0]?.write(generate({ cmd: "publish", topic: "t", payload: "again", qos: 1, messageId: 7, retain: false, dup }));
  broker.sockets[0]?.write(generate({ cmd: "publish", topic: "t", payload: "kept", qos: 0, retain: true, dup: false }));
  await until(() => got.length >= 3, "all three");
  c.same(got, ["t again false", "t again false", "t kept true"]);
});

void t.test("a broker that accepts and then says nothing is not up, and closing does not wait for it", async (c) => {
  const broker = await scripted(c, () => undefined);
  const { transport } = open(c, { url: broker.url });
  await until(() => broker.packets.length > 0, "it asked");
  c.notOk(transport.up);
  await transport.close();

  const deaf = createServer((socket: Socket) => { socket.on("error", () => undefined); });
  c.teardown(() => { deaf.close(); });
  const port = await portOf(deaf);
  const { transport: hanging } = open(c, { url: `mqtts://127.0.0.1:${port}` });
  await new Promise<void>((resolve) => { const probe = connectTcp(port, "127.0.0.1", () => { probe.destroy(); resolve(); }); });
  await hanging.close();
});

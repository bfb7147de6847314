import t, { type Test } from "tap";
import { connect, type Transport } from "../../agent/mqtt/connection.ts";
import { createTlsAuthority } from "../../agent/mqtt/tls.ts";
import { mostMessageBytes } from "../../agent/protocol/envelope.ts";
import { everybodyUp, topic } from "../../agent/protocol/topics.ts";
import { utf8 } from "../../agent/runtime/encoding.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { systemRandom } from "../../agent/runtime/random.ts";
import { kinds, type BrokerUnderTest } from "./support/brokers.ts";
import { identity, type Certificates } from "./support/certificates.ts";
import { raw, type Raw } from "./support/raw.ts";
import { until } from "./support/wait.ts";

const down = (box: string) => topic({ kind: "box", box, direction: "down", what: "request" });
const up = (box: string) => topic({ kind: "box", box, direction: "up", what: "response" });
const state = (box: string) => topic({ kind: "box", box, direction: "up", what: "state" });
const record = topic({ kind: "site", what: "record" });
const coordinatorState = topic({ kind: "coordinator", what: "state" });

/**
 * What every broker must do for a site. Rights are proven by echo: a message that may pass is sent after
 * the one that may not, and only it arrives. (Mosquitto grants forbidden subscriptions silently.)
 */
export async function brokerContract(broker: BrokerUnderTest, site: Certificates): Promise<void> {
  await broker.start();
  t.teardown(() => broker.stop());

  /** Ours, with everything it receives. */
  async function join(c: Test, name: string, filters: readonly string[]): Promise<Transport & { readonly got: string[]; readonly states: string[] }> {
    const client = kinds[name] === "client";
    const suffix = Buffer.from(systemRandom.bytes(4)).toString("hex");
    const transport = connect({
      url: client ? broker.clientUrl : broker.boxUrl, tls: site.of(name), clientId: client ? `${name}.${suffix}` : name, log: silentLog, random: systemRandom,
    });
    c.teardown(() => transport.close());
    const got: string[] = [];
    const states: string[] = [];
    transport.onMessage((where, payload, retained) => { got.push(`${where} ${Buffer.from(payload).toString("latin1", 0, 40)}${retained ? " retained" : ""}`); });
    transport.onState((now) => { states.push(now); });
    await transport.subscribe(filters);
    await until(() => transport.up, `${name} is up`);
    return Object.assign(transport, { got, states });
  }

  /** Somebody with the certificate of `name` and bad intentions. */
  async function intruder(c: Test, name: string, options: Parameters<typeof raw>[3] & { as?: string } = {}): Promise<Raw> {
    const { as = kinds[name] === "client" ? `${name}.00000000` : name, ...rest } = options;
    const one = await raw(kinds[name] === "client" ? broker.clientUrl : broker.boxUrl, site.of(name), as, rest);
    c.teardown(() => one.client.endAsync(true));
    return one;
  }

  await t.test("messages pass both ways between coordinator and box", async (c) => {
    const coordinator = await join(c, "coordinator", everybodyUp);
    const box = await join(c, "box-1", [down("box-1")]);
    await coordinator.publish(down("box-1"), utf8("hello"), { qos: 1 });
    await box.publish(up("box-1"), utf8("hello yourself"), { qos: 1 });
    await box.publish(topic({ kind: "box", box: "box-1", direction: "up", what: "heartbeat" }), utf8("beat"));
    await until(() => box.got.length >= 1 && coordinator.got.length >= 2, "both hear");
    c.same(box.got, [`${down("box-1")} hello`]);
    c.same(coordinator.got, [`${up("box-1")} hello yourself`, "shardkeep/v1/box/box-1/up/heartbeat beat"]);
  });

  await t.test("everybody may read what the coordinator says to all, also what it retained", async (c) => {
    const coordinator = await join(c, "coordinator", []);
    await coordinator.publish(record, utf8("version 7"), { qos: 1, retain: true });
    for (const name of ["box-1", "alice"]) {
      const reader = await join(c, name, [record, topic({ kind: "coordinator", what: "heartbeat" })]);
      await until(() => reader.got.length >= 1, `${name} hears the record`);
      c.same(reader.got, [`${record} version 7 retained`]);
    }
  });

  await t.test("a forbidden subscription never delivers", async (c) => {
    const coordinator = await join(c, "coordinator", []);
    const alice = await join(c, "alice", []);
    for (const filter of [down("box-1"), "shardkeep/v1/box/+/down/request", "shardkeep/#", "#", "+/+/+/+/+/+", everybodyUp[0], everybodyUp[1]]) {
      const thief = await intruder(c, "box-2");
      await thief.client.subscribeAsync([filter], { qos: 1 }).catch(() => undefined);
      await thief.client.subscribeAsync([down("box-2")], { qos: 1 });
      await coordinator.publish(down("box-1"), utf8("secret"), { qos: 1 });
      await alice.publish("shardkeep/v1/client/alice/up/request", utf8("secret"), { qos: 1 });
      await coordinator.publish(down("box-2"), utf8("echo"), { qos: 1 });
      await until(() => thief.got.some((line) => line.endsWith("echo")), `the echo beside ${filter}`);
      // A record retained by the test before is for everybody; two matching filters may deliver twice.
      c.same(thief.got.filter((line) => !line.startsWith(record) && line !== `${down("box-2")} echo`), [], filter);
      thief.cut();
      await thief.closed;
    }
  });

  await t.test("a forbidden publish never delivers", async (c) => {
    const coordinator = await join(c, "coordinator", [...everybodyUp, record, coordinatorState]);
    const victim = await join(c, "box-1", [down("box-1"), record, coordinatorState]);
    await until(() => coordinator.got.length > 0 && victim.got.length > 0, "the retained record");
    coordinator.got.length = victim.got.length = 0;
    for (const [name, where] of [
      ["box-2", up("box-1")], ["box-2", down("box-1")], ["box-2", coordinatorState], ["box-2", record],
      ["box-2", "shardkeep/v1/client/box-2/down/response"], ["alice", up("box-1")], ["alice", "shardkeep/v1/box/alice/down/request"], ["alice", record],
    ] as const) {
      const forger = await intruder(c, name);
      forger.client.publish(where, "forged", { qos: 1, retain: true });
      await Promise.race([forger.closed, new Promise<void>((resolve) => { forger.client.once("packetreceive", () => { resolve(); }); })]);
      forger.cut();
    }
    const honest = await intruder(c, "box-2");
    await honest.client.publishAsync(up("box-2"), "echo", { qos: 1 });
    await coordinator.publish(down("box-1"), utf8("echo"), { qos: 1 });
    await coordinator.publish(coordinatorState, utf8("echo"), { qos: 1 });
    await until(() => coordinator.got.length >= 2 && victim.got.length >= 2, "the echoes");
    c.same(coordinator.got.toSorted(), [`${up("box-2")} echo`, `${coordinatorState} echo`].toSorted());
    c.same(victim.got.toSorted(), [`${down("box-1")} echo`, `${coordinatorState} echo`].toSorted());
    const later = await join(c, "alice", [record]);
    await until(() => later.got.length > 0, "the record");
    c.same(later.got, [`${record} version 7 retained`], "nor is it retained");
  });

  await t.test("a will has no more rights than a publish, and is published only for a connection that was cut", async (c) => {
    const coordinator = await join(c, "coordinator", [...everybodyUp, record, coordinatorState]);
    await until(() => coordinator.got.length > 0, "the retained record");
    coordinator.got.length = 0;
    for (const where of [state("box-1"), coordinatorState, record]) {
      const forger = await intruder(c, "box-2", { will: { topic: where, payload: Buffer.from("forged"), qos: 1, retain: true } }).catch(() => undefined);
      forger?.cut();
    }
    const left = await intruder(c, "box-2", { will: { topic: state("box-2"), payload: Buffer.from("left in order"), qos: 1, retain: false } });
    await left.client.endAsync();
    const lost = await intruder(c, "box-2", { will: { topic: state("box-2"), payload: Buffer.from("lost"), qos: 1, retain: false } });
    lost.cut();
    await until(() => coordinator.got.length > 0, "the allowed will");
    await coordinator.publish(coordinatorState, utf8("echo"), { qos: 1 });
    await until(() => coordinator.got.some((line) => line.endsWith("echo")), "the echo");
    c.same(coordinator.got, [`${state("box-2")} lost`, `${coordinatorState} echo`]);
  });

  await t.test("our own will is published when our connection is cut, not when we leave", async (c) => {
    const coordinator = await join(c, "coordinator", everybodyUp);
    for (const how of ["leave", "taken over"]) {
      const box = connect({
        url: broker.boxUrl, tls: site.of("box-1"), clientId: "box-1", log: silentLog, random: systemRandom,
        will: { topic: state("box-1"), payload: utf8(`will of ${how}`), qos: 1, retain: false },
      });
      await box.subscribe([]);
      if (how === "taken over") await intruder(c, "box-1");
      await box.close();
    }
    await until(() => coordinator.got.length > 0, "the will");
    c.same(coordinator.got, [`${state("box-1")} will of taken over`]);
  });

  await t.test("no certificate, and one of another authority, are refused", async (c) => {
    await c.rejects(raw(broker.boxUrl, { ca: site.authority.certificate }, "box-1"));
    const foreign = await identity(await createTlsAuthority("test"), "box-1");
    await c.rejects(raw(broker.boxUrl, { ...foreign, ca: site.authority.certificate }, "box-1"));
    await c.rejects(raw(broker.boxUrl.replace("mqtts", "mqtt"), {}, "box-1"), "nor does it speak without TLS");
    c.ok(await intruder(c, "box-1"), "as it does to the right one");
  });

  await t.test("a broker whose certificate is of another authority, or for another address, is not spoken to", async (c) => {
    const foreign = await createTlsAuthority("test");
    const other = { ...site.of("box-1"), ca: foreign.certificate };
    for (const [url, tls] of [[broker.boxUrl, other], [broker.boxUrl.replace("127.0.0.1", "127.0.0.2"), site.of("box-1")]] as const) {
      const said: string[] = [];
      const transport = connect({ url, tls, clientId: "box-1", log: { ...silentLog, warn: (event, fields) => { said.push(`${event} ${String(fields?.["error"])}`); } }, random: systemRandom });
      await until(() => said.length > 0, "it gives up");
      await transport.close();
      c.match(said[0], url === broker.boxUrl ? /BROKER_UNTRUSTED.*next: check the address/s : /BROKER_UN(TRUSTED|REACHABLE)/);
    }
  });

  await t.test("another's client id gives nothing: neither its messages nor, for a box, its place", async (c) => {
    const coordinator = await join(c, "coordinator", []);
    const victim = await join(c, "box-1", [down("box-1")]);
    for (const name of ["box-2", "alice"]) {
      const thief = await intruder(c, name, { as: "box-1" }).catch(() => undefined);
      await thief?.client.subscribeAsync([down("box-1")], { qos: 1 }).catch(() => undefined);
      victim.got.length = 0;
      await until(() => victim.up, "the box is up");
      await coordinator.publish(down("box-1"), utf8("for box-1"), { qos: 1 });
      await until(() => victim.got.length > 0, "the box hears");
      if (name === "box-2") c.same(victim.states, ["up"], "and was never cut off");
      c.same(thief?.got ?? [], []);
      thief?.cut();
    }
  });

  await t.test("the newer connection of a box takes over; both coming back is no storm", async (c) => {
    const coordinator = await join(c, "coordinator", []);
    const first = await join(c, "box-1", [down("box-1")]);
    const second = await intruder(c, "box-1");
    await second.client.subscribeAsync([down("box-1")], { qos: 1 });
    await until(() => first.states.includes("down"), "the first is out");
    await coordinator.publish(down("box-1"), utf8("to the newer"), { qos: 1 });
    await until(() => second.got.length > 0 || first.up, "the newer hears");
    await second.closed;
    await until(() => first.up, "the first comes back when its wait is over");
    c.same(first.states, ["up", "down", "up"]);
  });

  await t.test("a client has several connections side by side", async (c) => {
    const coordinator = await join(c, "coordinator", []);
    const answers = topic({ kind: "client", client: "alice", direction: "down", what: "response" });
    const both = [await join(c, "alice", [answers]), await join(c, "alice", [answers])];
    await coordinator.publish(answers, utf8("answer"), { qos: 1 });
    for (const one of both) {
      await until(() => one.got.length > 0, "each hears");
      c.same(one.got, [`${answers} answer`]);
      c.same(one.states, ["up"]);
    }
  });

  await t.test("overlapping subscriptions deliver at least once: receivers drop what they have seen", async (c) => {
    const coordinator = await join(c, "coordinator", [...everybodyUp, up("box-1")]);
    const box = await join(c, "box-1", []);
    await box.publish(up("box-1"), utf8("once"), { qos: 1 });
    await box.publish(up("box-1"), utf8("echo"), { qos: 1 });
    await until(() => coordinator.got.some((line) => line.endsWith("echo")), "the echo");
    c.ok(coordinator.got.filter((line) => line.endsWith("once")).length >= 1);
  });

  await t.test("the largest message passes, one byte more does not", async (c) => {
    const coordinator = await join(c, "coordinator", everybodyUp);
    const box = await intruder(c, "box-1");
    await box.client.publishAsync(up("box-1"), Buffer.alloc(mostMessageBytes, "a"), { qos: 1 });
    await until(() => coordinator.got.length === 1, "the largest");
    for (const bytes of [mostMessageBytes + 1, 4 * mostMessageBytes]) {
      const other = await intruder(c, "box-1");
      other.client.publish(up("box-1"), Buffer.alloc(bytes, "b"), { qos: 1 });
      await Promise.race([other.closed, new Promise<void>((resolve) => { other.client.once("packetreceive", () => { resolve(); }); })]);
    }
    const again = await intruder(c, "box-1");
    await again.client.publishAsync(up("box-1"), "echo", { qos: 1 });
    await until(() => coordinator.got.length >= 2, "the echo");
    c.same(coordinator.got.map((line) => line.slice(line.indexOf(" ") + 1)), ["a".repeat(40), "echo"]);
  });

  await t.test("somebody who reads nothing holds up nobody", async (c) => {
    const coordinator = await join(c, "coordinator", []);
    const deaf = await intruder(c, "box-1");
    await deaf.client.subscribeAsync([down("box-1")], { qos: 1 });
    deaf.client.stream.unpipe();
    deaf.client.stream.pause();
    const box = await join(c, "box-2", [down("box-2")]);
    for (let i = 0; i < 100; i++) await coordinator.publish(down("box-1"), Buffer.alloc(200_000, "x"), { qos: 1 });
    await coordinator.publish(down("box-2"), utf8("echo"), { qos: 1 });
    await until(() => box.got.length > 0, "the other box hears");
    c.same(box.got, [`${down("box-2")} echo`]);
  });

  await t.test("after a restart of the broker connections and subscriptions come back, and nothing old with them", async (c) => {
    const coordinator = await join(c, "coordinator", everybodyUp);
    const box = await join(c, "box-1", [down("box-1")]);
    await broker.stop();
    await until(() => !box.up && !coordinator.up, "both see it");
    await c.rejects(coordinator.publish(down("box-1"), utf8("too early"), { qos: 1 }), { code: "NOT_CONNECTED", retryable: true });
    const late = box.subscribe([coordinatorState]);
    await broker.start();
    await until(() => box.up && coordinator.up, "both are back", 20_000);
    await late;
    await coordinator.publish(coordinatorState, utf8("new filter"), { qos: 1 });
    await coordinator.publish(down("box-1"), utf8("old filter"), { qos: 1 });
    await until(() => box.got.length >= 2, "the box hears");
    c.same(box.got, [`${coordinatorState} new filter`, `${down("box-1")} old filter`]);
    c.same(box.states.filter((now) => now === "up").length, 2);
  });
}

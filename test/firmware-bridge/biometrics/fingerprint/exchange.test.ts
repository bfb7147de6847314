import t from "tap";
import { countTemplates, getImage, search, upload, verifyPassword } from "../../../../firmware-bridge/biometrics/fingerprint/commands.ts";
import { Exchange, templateLimit } from "../../../../firmware-bridge/biometrics/fingerprint/exchange.ts";
import { greet } from "../../../../firmware-bridge/biometrics/fingerprint/greet.ts";
import { encodePacket, packetType } from "../../../../firmware-bridge/biometrics/fingerprint/packets.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { hex, ScriptedLine, type Script } from "../../support/scripted-line.ts";
import { ack } from "../../support/scripted-module.ts";

const failure = (promise: Promise<unknown>): Promise<unknown> => promise.then(() => "resolved", (error: unknown) => error);
const parameters = ack(0, 0, 4, 0, 0, 0, 200, 0, 4, 0xff, 0xff, 0xff, 0xff, 0, 2, 0, 6);
const opcode = (sent: Uint8Array): number => sent[9] ?? 0;

function exchangeWith(script: Script) {
  const line = new ScriptedLine(script);
  const clock = new ManualClock();
  return { line, clock, exchange: new Exchange(line, clock) };
}

void t.test("a reply is told by address, type, code and exact length; what is not one is dropped and counted", async (t) => {
  const found = ack(0, 0, 7, 0, 96);
  const strangers: Readonly<Record<string, Uint8Array>> = {
    "a shorter 00": ack(0),
    "a longer 00": ack(0, 0, 7, 0, 96, 0),
    "a code that search never gives": ack(0x0a),
    "another address": encodePacket({ address: 0x12345678, type: packetType.ack, content: found.slice(9, -2) }),
    "a data packet": encodePacket({ address: 0xffffffff, type: packetType.data, content: found.slice(9, -2) }),
    "an empty acknowledgement": encodePacket({ address: 0xffffffff, type: packetType.ack, content: new Uint8Array(0) }),
  };
  for (const [name, stranger] of Object.entries(strangers)) {
    const { exchange } = exchangeWith((_sent, say) => { say(stranger); say(found); });
    t.same(await exchange.send(search(1, 0, 200)), { ok: true, value: { slot: 7, score: 96 } }, name);
    t.equal(exchange.disturbances, 1, `${name} is counted`);
    const alone = exchangeWith((_sent, say) => { say(stranger); });
    t.match(await failure(alone.exchange.send(search(1, 0, 200))), { code: "SENSOR_GARBLED" }, `${name} alone`);
  }
});

void t.test("on a miss there is no slot, whatever the reply says (Q4)", async (t) => {
  const { exchange } = exchangeWith((_sent, say) => { say(ack(9, 0x01, 0xee, 0, 0)); });
  t.same(await exchange.send(search(1, 0, 200)), { ok: false, code: 9 });
});

void t.test("deadlines are those of the table, and a search has more time", async (t) => {
  const { exchange, clock } = exchangeWith(() => undefined);
  t.match(await failure(exchange.send(verifyPassword(new Uint8Array(4)))), { code: "SENSOR_SILENT", retryable: true });
  t.equal(clock.now(), 1000);
  const other = exchangeWith(() => undefined);
  await failure(other.exchange.send(search(1, 0, 200)));
  t.equal(other.clock.now(), 3000);
});

void t.test("after a time-out the line rests and the parameters are asked first; the late reply answers nothing", async (t) => {
  const { exchange, line, clock } = exchangeWith((sent, say) => {
    if (opcode(sent) === 0x01) clock.after(3050, () => { say(ack(2)); });
    else if (opcode(sent) === 0x0f) say(parameters);
    else say(ack(0, 0, 5));
  });
  t.match(await failure(exchange.send(getImage())), { code: "SENSOR_SILENT" });
  line.sent.length = 0;
  t.equal(await exchange.demand(countTemplates()), 5);
  t.same(line.sent.map((sent) => sent.slice(18, 20)), ["0f", "1d"]);
  t.ok(clock.now() >= 3200, "rested 150 ms after the late reply");
  line.sent.length = 0;
  await exchange.demand(countTemplates());
  t.equal(line.sent.length, 1, "and once is enough");
});

void t.test("the beginning of a packet from before the command is not taken for the reply's", async (t) => {
  const { exchange, line } = exchangeWith((sent, say) => { say(opcode(sent) === 0x0f ? parameters : ack(0, 0, 5)); });
  line.say(ack(0, 0, 9).subarray(0, 8));
  t.equal(await exchange.demand(countTemplates()), 5);
  t.same(line.sent.map((sent) => sent.slice(18, 20)), ["0f", "1d"]);
  t.equal(exchange.disturbances, 1);
});

void t.test("the handshake of discovery: any orderly answer to the factory password is a sensor", async (t) => {
  for (const answer of [ack(0), ack(0x13), ack(0x21)]) {
    const line = new ScriptedLine((_sent, say) => { say(answer); });
    t.ok(await greet(line, new ManualClock()));
    t.same(line.sent, ["ef01ffffffff010007130000000000" + "1b"], "and no other password is shown to it");
  }
  t.equal(await greet(new ScriptedLine(), new ManualClock()), undefined, "silence");
  t.equal(await greet(new ScriptedLine((sent, say) => { say(sent); }), new ManualClock()), undefined, "an echo");
  let answers = 0;
  t.ok(await greet(new ScriptedLine((sent, say) => {
    answers += 1;
    say(answers === 1 ? Uint8Array.of(0x55) : opcode(sent) === 0x0f ? parameters : ack(0));
  }), new ManualClock()), "one that has just started");
  const gone = new ScriptedLine();
  await gone.close();
  t.match(await failure(greet(gone, new ManualClock())), { code: "SENSOR_ABSENT" });
});

void t.test("a line that does not stop sending is given up by name", async (t) => {
  const { exchange, clock, line } = exchangeWith(() => undefined);
  let flooding = true;
  const flood = (): void => { if (flooding) { line.say(Uint8Array.of(0xa5)); clock.after(100, flood); } };
  await failure(exchange.send(getImage()));
  flood();
  t.match(await failure(exchange.send(getImage())), { code: "SENSOR_GARBLED", message: /does not stop/ });
  flooding = false;
});

void t.test("data: cut off at the limit, or when it stops without an end", async (t) => {
  const data = (type: 2 | 8, length = 128): Uint8Array => encodePacket({ address: 0xffffffff, type, content: new Uint8Array(length).fill(0x55) });
  const exact = exchangeWith((_sent, say) => { say(ack(0)); for (let n = 0; n < templateLimit / 128 - 1; n++) say(data(2)); say(data(8)); });
  t.equal((await exact.exchange.receive(upload(1))).length, templateLimit);
  t.equal(exact.exchange.disturbances, 0, "55h inside a packet is data");
  const endless = exchangeWith((_sent, say) => { say(ack(0)); for (let n = 0; n < 40; n++) say(data(2)); });
  t.match(await failure(endless.exchange.receive(upload(1))), { code: "SENSOR_GARBLED", message: /more than 4096/ });
  const cut = exchangeWith((_sent, say) => { say(ack(0)); say(data(2)); });
  t.match(await failure(cut.exchange.receive(upload(1))), { code: "SENSOR_SILENT" });
  t.equal(cut.clock.now(), 500, "half a second between packets");
  const short = exchangeWith((_sent, say) => { say(ack(0)); say(data(2)); say(data(8, 54)); });
  t.equal((await short.exchange.receive(upload(1))).length, 182, "Q11");
  const empty = exchangeWith((_sent, say) => { say(ack(0)); say(data(2)); say(data(8, 0)); });
  t.equal((await empty.exchange.receive(upload(1))).length, 128);
  const refused = exchangeWith((_sent, say) => { say(ack(0x0d)); });
  t.match(await failure(refused.exchange.receive(upload(1))), { code: "SENSOR_REFUSED", message: /0Dh uploadFailed/ });
});

void t.test("replies in pieces of every size, and behind a false header", async (t) => {
  const reply = ack(0, 0, 5);
  for (let cut = 1; cut < reply.length; cut++) {
    const { exchange } = exchangeWith((_sent, say) => { say(reply.subarray(0, cut)); say(reply.subarray(cut)); });
    t.equal(await exchange.demand(countTemplates()), 5);
    t.equal(exchange.disturbances, 0);
  }
  const { exchange } = exchangeWith((_sent, say) => { say(Buffer.from("ef01ffffffff070102", "hex")); say(reply); });
  t.equal(await exchange.demand(countTemplates()), 5, "found when the line went quiet");
  t.equal(exchange.disturbances, 1);
});

void t.test("what comes unasked is counted and told; 55h ends what is under way", async (t) => {
  const { exchange, line } = exchangeWith((sent, say) => { say(opcode(sent) === 0x0f ? parameters : Uint8Array.of(0x55)); });
  let told = 0;
  exchange.onUnasked(() => { told += 1; });
  line.say(Uint8Array.of(0x55));
  line.say(ack(0));
  t.equal(told, 2);
  t.equal(exchange.disturbances, 2);
  t.match(await failure(exchange.send(getImage())), { code: "SENSOR_RESTARTED", retryable: true });
});

void t.test("a password is sent once and wiped from its command; the caller's own is left to it", async (t) => {
  const { exchange, line } = exchangeWith((_sent, say) => { say(ack(0)); });
  const password = Uint8Array.of(0x11, 0x22, 0x33, 0x44);
  const command = verifyPassword(password);
  t.same(await exchange.send(command), { ok: true, value: null });
  t.same(line.sent, ["ef01ffffffff010007131122334400c5"]);
  t.equal(hex(command.content), "0000000000");
  t.equal(hex(password), "11223344");
});

void t.test("two at once are refused, and a lost line ends the wait", async (t) => {
  const { exchange, line } = exchangeWith(() => undefined);
  const first = failure(exchange.send(getImage()));
  t.match(await failure(exchange.send(getImage())), { code: "SENSOR_BUSY" });
  await line.close();
  t.match(await first, { code: "SENSOR_ABSENT" });
  t.match(await failure(exchange.send(getImage())), { code: "SENSOR_ABSENT" });
});

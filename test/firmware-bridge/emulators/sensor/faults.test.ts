import t from "tap";
import { fault, type FaultRequest } from "../../../../firmware-bridge/emulators/sensor/faults/fault.ts";
import { bytesOf, command, Desk, hexOf } from "../support/desk.ts";

const handShake = command(0x40);
const ok = "EF 01 FF FF FF FF 07 00 03 00 00 0A";
const upChar = command(0x08, 1);

async function deskWith(...faults: readonly FaultRequest[]): Promise<Desk> {
  const desk = await new Desk().started();
  for (const one of faults) desk.device.suffer(fault.parse(one));
  return desk;
}

/** Packets of a reply as [PID, bytes of content]; every one must be whole. */
function packetsOf(bytes: Uint8Array): [number, number][] {
  const packets: [number, number][] = [];
  for (let at = 0; at < bytes.length;) {
    const length = bytes[at + 7]! * 256 + bytes[at + 8]!;
    packets.push([bytes[at + 6]!, length - 2]);
    at += 9 + length;
  }
  return packets;
}

void t.test("faults of one reply, as they stand on the wire, and the next reply is good again", async (t) => {
  const table: readonly (readonly [FaultRequest, string])[] = [
    [{ name: "drop-byte", at: 1 }, "EF FF FF FF FF 07 00 03 00 00 0A"],
    [{ name: "flip-byte", at: 9 }, "EF 01 FF FF FF FF 07 00 03 FF 00 0A"],
    [{ name: "insert-byte", at: 2, byte: 0x55 }, "EF 01 55 FF FF FF FF 07 00 03 00 00 0A"],
    [{ name: "stray-bytes", bytes: [0x55, 0xef, 0x00] }, `55 EF 00 ${ok}`],
    [{ name: "bad-checksum" }, "EF 01 FF FF FF FF 07 00 03 00 00 0B"],
    [{ name: "bad-length", length: 0 }, "EF 01 FF FF FF FF 07 00 00 00 00 0A"],
    [{ name: "bad-length", length: 1 }, "EF 01 FF FF FF FF 07 00 01 00 00 0A"],
    [{ name: "bad-length", length: 2 }, "EF 01 FF FF FF FF 07 00 02 00 00 0A"],
    [{ name: "bad-length", length: 259 }, "EF 01 FF FF FF FF 07 01 03 00 00 0A"],
    [{ name: "bad-length", length: 0xffff }, "EF 01 FF FF FF FF 07 FF FF 00 00 0A"],
    [{ name: "wrong-pid", pid: 0x01 }, "EF 01 FF FF FF FF 01 00 03 00 00 04"],
    [{ name: "wrong-address" }, "EF 01 FF FF FF FE 07 00 03 00 00 0A"],
    [{ name: "silent" }, ""],
    [{ name: "double" }, `${ok} ${ok}`],
    [{ name: "answer", opcode: 0x40, code: 0x19 }, "EF 01 FF FF FF FF 07 00 03 19 00 23"],
  ];
  for (const [request, expected] of table) {
    const desk = await deskWith(request);
    t.same(desk.device.faults.names, [request.name]);
    t.equal(await desk.ask(handShake), expected, JSON.stringify(request));
    t.equal(await desk.ask(handShake), ok);
    t.same(desk.device.faults.names, []);
  }
});

void t.test("the reply of the command before", async (t) => {
  const desk = await deskWith();
  await desk.ask(command(0x01));
  desk.device.suffer({ name: "previous" });
  t.equal(await desk.ask(handShake), "EF 01 FF FF FF FF 07 00 03 02 00 0C");
});

void t.test("a late reply comes whole, after real time", async (t) => {
  const desk = await deskWith({ name: "late", ms: 3000 });
  t.equal(await desk.ask(handShake, 3000), "");
  t.equal(await desk.ask(new Uint8Array(0), 20), ok);
});

void t.test("split: at every position, or every byte alone", async (t) => {
  for (let at = 1; at < 12; at++) {
    const desk = await deskWith({ name: "split", at, pauseMs: 40 });
    desk.device.receive(handShake);
    await desk.clock.pass(1000);
    t.same(desk.sent.map(({ bytes }) => bytes.length), [at, 12 - at]);
    t.ok(desk.sent[1]!.at - desk.sent[0]!.at >= 39, "less than a millisecond of line time runs ahead");
    t.equal(hexOf(desk.taken()), ok);
  }
  const desk = await deskWith({ name: "split" });
  desk.device.receive(handShake);
  await desk.clock.pass(1000);
  t.same(desk.sent.map(({ bytes }) => bytes.length), Array.from({ length: 12 }, () => 1));
});

void t.test("how often, and at which command", async (t) => {
  const desk = await deskWith({ name: "silent", times: 2, opcode: 0x40 });
  t.not(await desk.ask(command(0x1d)), "");
  t.equal(await desk.ask(handShake), "");
  t.equal(await desk.ask(handShake), "");
  t.equal(await desk.ask(handShake), ok);
  desk.device.suffer({ name: "silent" });
  desk.device.faults.clear();
  t.equal(await desk.ask(handShake), ok);
});

void t.test("faults of data wait for a reply that has data", async (t) => {
  const full: [number, number][] = [[7, 1], ...Array.from({ length: 11 }, (): [number, number] => [2, 128]), [8, 128]];
  const table: readonly (readonly [FaultRequest, [number, number][]])[] = [
    [{ name: "missing-end" }, full.slice(0, -1)],
    [{ name: "short-last" }, [...full.slice(0, -1), [8, 118]]],
    [{ name: "wrong-pid", packet: 3, pid: 7 }, full.map(([pid, length], n) => [n === 3 ? 7 : pid, length])],
  ];
  for (const [request, expected] of table) {
    const desk = await deskWith();
    await desk.enrol("alice", 0);
    desk.device.suffer(fault.parse(request));
    t.equal(await desk.ask(handShake), ok);
    desk.device.receive(upChar);
    await desk.clock.pass(2000);
    t.same(packetsOf(desk.taken()), expected, request.name);
    desk.device.receive(upChar);
    await desk.clock.pass(2000);
    t.same(packetsOf(desk.taken()), full);
  }
});

void t.test("a byte flipped deep in the data", async (t) => {
  const desk = await deskWith();
  await desk.enrol("alice", 0);
  const good = await desk.ask(upChar);
  desk.device.suffer({ name: "flip-byte", at: 1000 });
  t.equal(await desk.ask(handShake), ok, "too short for it");
  const bad = await desk.ask(upChar);
  t.same([good, bad].map((text) => bytesOf(text).length), [1680, 1680]);
  t.same([...bytesOf(bad)].flatMap((byte, at) => byte === bytesOf(good)[at] ? [] : [at]), [1000]);
});

void t.test("endless data: 02 packets without end, until the host speaks", async (t) => {
  const desk = await deskWith();
  await desk.enrol("alice", 0);
  desk.device.suffer({ name: "endless-data" });
  desk.device.receive(upChar);
  await desk.clock.pass(10_000);
  const packets = packetsOf(desk.taken().subarray(0, 12 + 139 * 300));
  t.equal(packets.length, 301);
  t.ok(packets.slice(1).every(([pid]) => pid === 2));
  desk.device.receive(handShake);
  await desk.clock.pass(100);
  t.ok(hexOf(desk.taken()).endsWith(ok));
  await desk.clock.pass(1000);
  t.same(desk.sent, []);
});

void t.test("re-powered behind the host's back: 55h or not, the password is wanted again", async (t) => {
  const desk = await deskWith();
  t.same(await desk.say(0x12, 0, 0, 0, 7), [0]);
  desk.device.suffer({ name: "unsolicited-55" });
  t.equal(await desk.ask(new Uint8Array(0)), "55");
  t.same(await desk.say(0x1d), [0, 0, 0], "a 55h alone changes nothing");
  desk.device.suffer({ name: "silent-repower" });
  t.equal(await desk.ask(new Uint8Array(0)), "");
  t.same(await desk.say(0x1d), [0x21]);
});

void t.test("a flash that takes nothing: 18, and nothing changes", async (t) => {
  const desk = await deskWith();
  await desk.enrol("alice", 0);
  const before = desk.device.state.flash;
  for (const content of [[0x06, 1, 0, 1], [0x0c, 0, 0, 0, 1], [0x0d], [0x0e, 5, 5], [0x12, 0, 0, 0, 7], [0x15, 0, 0, 0, 7], [0x18, 0, ...Array<number>(32).fill(1)]]) {
    desk.device.suffer({ name: "flash-error" });
    t.same(await desk.say(0x1d), [0, 0, 1], "waits for a write");
    t.same(await desk.say(...content), [0x18]);
  }
  t.equal(desk.device.state.flash, before);
});

void t.test("different rates: nothing is heard", async (t) => {
  const desk = await deskWith({ name: "baud-mismatch" });
  t.equal(await desk.ask(handShake), "");
  desk.device.faults.clear();
  t.equal(await desk.ask(handShake), ok);
});

void t.test("attacker: any password is good", async (t) => {
  const desk = await deskWith({ name: "accept-any-password" });
  for (const guess of [1, 2, 3]) t.same(await desk.say(0x13, 0, 0, 0, guess), [0]);
});

void t.test("attacker: replays the last match with no finger there", async (t) => {
  const desk = await deskWith();
  await desk.enrol("alice", 4);
  desk.device.hand.touch({ name: "alice", quality: 90 });
  await desk.say(0x01);
  await desk.say(0x02, 1);
  const match = await desk.say(0x04, 1, 0, 0, 0, 200);
  t.same(match.slice(0, 3), [0, 0, 4]);
  desk.device.hand.lift();
  t.same(await desk.say(0x01), [0x02]);
  desk.device.suffer({ name: "replay-match" });
  for (let n = 0; n < 2; n++) {
    t.same(await desk.say(0x01), [0]);
    t.same(await desk.say(0x02, 1), [0]);
    t.same(await desk.say(0x04, 1, 0, 0, 0, 200), match);
  }
});

void t.test("attacker: another person's template, another slot, a lower level", async (t) => {
  const desk = await deskWith();
  await desk.enrol("alice", 0);
  const alice = desk.device.state.flash.library.get(0)!;
  desk.device.suffer({ name: "substitute-template", slot: 0, finger: "mallory" });
  desk.device.hand.touch({ name: "mallory", quality: 90 });
  await desk.say(0x01);
  await desk.say(0x02, 1);
  t.same((await desk.say(0x04, 1, 0, 0, 0, 200)).slice(0, 3), [0, 0, 0]);
  t.notSame(desk.device.state.flash.library.get(0), alice);
  desk.device.suffer({ name: "move-template", from: 0, to: 9 });
  t.same([...desk.device.state.flash.library.keys()], [9]);
  t.throws(() => { desk.device.suffer({ name: "move-template", from: 0, to: 9 }); }, { code: "SLOT_EMPTY" });
  desk.device.suffer({ name: "lower-security", level: 1 });
  t.same((await desk.say(0x0f)).slice(7, 9), [0, 1]);
  t.equal(desk.saved.at(-1)?.security, 1, "all of it is in the flash");
  t.equal(desk.saved.at(-1)?.library.size, 1);
});

void t.test("settings that a fault does not have are refused", (t) => {
  for (const bad of [{ name: "nonsense" }, { name: "drop-byte" }, { name: "late", ms: 0 }, { name: "double", at: 1 }, { name: "silent", times: 0 }, { name: "bad-length", length: 0x10000 }]) {
    t.notOk(fault.safeParse(bad).success, JSON.stringify(bad));
  }
  t.end();
});

import fc from "fast-check";
import t from "tap";
import { bytesOf, command, Desk, hexOf } from "../support/desk.ts";

const handShake = bytesOf("EF 01 FF FF FF FF 01 00 03 40 00 44");
const ok = "EF 01 FF FF FF FF 07 00 03 00 00 0A";

void t.test("start: silent and deaf until it is ready, then one 55h", async (t) => {
  const desk = new Desk();
  desk.device.powerOn();
  desk.device.receive(handShake);
  await desk.clock.pass(49);
  t.same(desk.sent, []);
  await desk.clock.pass(100);
  t.same(desk.sent, [{ at: 50, bytes: Uint8Array.of(0x55) }], "and the command is lost");
  desk.taken();
  t.equal(await desk.ask(handShake), ok);
  t.equal(hexOf((await new Desk("r307").started()).taken()), "", "old models do not greet");
});

void t.test("a reply takes the time of its line and of the work", async (t) => {
  const desk = await new Desk().started();
  const asked = desk.clock.now();
  t.equal(await desk.ask(handShake, 4), "", "12 bytes at 57600 take 2.1 ms, the work 3 ms");
  t.equal(await desk.ask(new Uint8Array(0)), ok);
  const noFinger = desk.clock.now();
  desk.device.receive(command(0x01));
  await desk.clock.pass(1000);
  t.ok(desk.sent[0]!.at - noFinger >= 150, "a capture takes 150 ms");
  t.ok(asked < noFinger);
});

/** How long a template takes to arrive. */
async function uploadMs(desk: Desk): Promise<number> {
  const from = desk.clock.now();
  desk.device.receive(command(0x08, 1));
  await desk.clock.pass(5000);
  t.equal(desk.sent.reduce((sum, { bytes }) => sum + bytes.length, 0), 12 + 1668);
  const at = desk.sent.at(-1)!.at - from;
  desk.taken();
  return at;
}

void t.test("data is paced by the rate and the speed (§1.4: 1536 bytes in 0.29 s at 57600)", async (t) => {
  const desk = await new Desk().started();
  await desk.enrol("alice", 0);
  const slow = await uploadMs(desk);
  t.ok(slow > 285 && slow < 310, `${slow} ms`);
  t.same(await desk.say(0x0e, 4, 12), [0]);
  const fast = await uploadMs(desk);
  t.ok(fast > 140 && fast < 160, `${fast} ms at 115200`);
  const sped = await new Desk("r503", { speed: 10 }).started();
  await sped.enrol("alice", 0);
  t.ok(await uploadMs(sped) < 35);
});

void t.test("data packets by the size code, the last one marked", async (t) => {
  const desk = await new Desk().started();
  await desk.enrol("alice", 0);
  for (const [code, size] of [32, 64, 128, 256].entries()) {
    t.same(await desk.say(0x0e, 6, code), [0]);
    desk.device.receive(command(0x08, 1));
    await desk.clock.pass(5000);
    const bytes = desk.taken().subarray(12);
    const whole = size + 11;
    t.equal(bytes.length, whole * 1536 / size);
    const pids = Array.from({ length: 1536 / size }, (_, n) => [bytes[n * whole + 6], bytes[n * whole + 7]! * 256 + bytes[n * whole + 8]!]);
    t.same(pids, [...Array.from({ length: 1536 / size - 1 }, () => [0x02, size + 2]), [0x08, size + 2]]);
  }
  const odd = await new Desk("r551").started();
  await odd.enrol("alice", 0);
  odd.device.receive(command(0x08, 1));
  await odd.clock.pass(1000);
  t.same([...odd.taken().subarray(12 + 4 * 139, 12 + 4 * 139 + 9)], [0xef, 1, 0xff, 0xff, 0xff, 0xff, 0x08, 0, 54 + 2], "566 bytes end with a short packet (Q11)");
});

void t.test("another address is met with silence, a damaged command with 01", async (t) => {
  const desk = await new Desk().started();
  t.equal(await desk.ask(bytesOf("EF 01 00 00 00 01 01 00 03 40 00 44")), "");
  t.equal(await desk.ask(bytesOf("EF 01 FF FF FF FF 01 00 03 40 00 45")), "EF 01 FF FF FF FF 07 00 03 01 00 0B");
  t.equal(await desk.ask(bytesOf("EF 01 FF FF FF FF 07 00 03 40 00 4A")), "", "an ack is no command");
  t.equal(await desk.ask(command(0x15, 1, 2, 3, 4)), "EF 01 01 02 03 04 07 00 03 00 00 0A", "the ack of SetAdder has the new address");
  t.equal(await desk.ask(handShake), "");
});

void t.test("two commands in one go are answered one after the other", async (t) => {
  const desk = await new Desk().started();
  t.equal(await desk.ask(Uint8Array.of(...handShake, ...command(0x01))), `${ok} EF 01 FF FF FF FF 07 00 03 02 00 0C`);
  t.same([...desk.device.heard], [[0x40, 1], [0x01, 1]]);
});

void t.test("half a packet is forgotten when the line falls silent", async (t) => {
  const desk = await new Desk().started();
  t.equal(await desk.ask(handShake.subarray(0, 5), 199), "");
  t.equal(await desk.ask(handShake.subarray(5)), ok, "199 ms are a slow line");
  t.equal(await desk.ask(handShake.subarray(0, 5), 201), "");
  t.equal(await desk.ask(handShake.subarray(5)), "");
  t.equal(await desk.ask(handShake), ok);
});

void t.test("flash is saved before the ack and outlives power; RAM does not", async (t) => {
  const desk = await new Desk().started();
  desk.device.receive(command(0x12, 0, 0, 0, 7));
  await desk.clock.pass(54);
  t.same([desk.saved.length, desk.sent.length], [1, 0]);
  await desk.clock.pass(100);
  t.equal(hexOf(desk.taken()), ok);
  await desk.enrol("alice", 3);
  t.same(await desk.say(0x1d), [0, 0, 1], "after SetPwd the session stays open (Q22)");
  const saves = desk.saved.length;
  await desk.say(0x40);
  t.equal(desk.saved.length, saves, "nothing to save, nothing saved");

  desk.device.powerOff();
  t.equal(await desk.ask(handShake), "");
  await desk.started();
  t.same(await desk.say(0x1d), [0x21]);
  t.same(await desk.say(0x35, 1, 1, 1, 1), [0x21], "everything is locked (Q23)");
  t.same(await desk.say(0x13, 0, 0, 0, 8), [0x13]);
  t.same(await desk.say(0x13, 0, 0, 0, 7), [0]);
  t.same(await desk.say(0x1d), [0, 0, 1]);
  t.same(await desk.say(0x05), [0x0a], "the buffers are empty");
});

void t.test("power lost in the middle of a reply ends it", async (t) => {
  const desk = await new Desk().started();
  await desk.enrol("alice", 0);
  desk.device.receive(command(0x08, 1));
  await desk.clock.pass(100);
  const sent = desk.sent.length;
  t.ok(sent > 0);
  desk.device.powerOff();
  await desk.clock.pass(5000);
  t.equal(desk.sent.length, sent);
  desk.device.receive(handShake);
  await desk.started();
  t.equal(await desk.ask(handShake), ok);
});

void t.test("SoftRst: ack, then 55h when it is ready, and the buffers are gone", async (t) => {
  const desk = await new Desk().started();
  await desk.enrol("alice", 0);
  t.equal(await desk.ask(command(0x3d)), `${ok} 55`);
  t.same(await desk.say(0x08, 1), [0x0d]);
});

void t.test("a template goes down in data packets and comes up again", async (t) => {
  const desk = await new Desk().started();
  await desk.enrol("alice", 0);
  const up = async (): Promise<Uint8Array> => {
    desk.device.receive(command(0x08, 1));
    await desk.clock.pass(2000);
    return desk.taken().subarray(12);
  };
  const alice = await up();
  await desk.say(0x3d);
  t.same(await desk.say(0x09, 2), [0]);
  t.equal(await desk.ask(alice), "", "data is never acknowledged (§1.4)");
  t.same(await up(), alice, "whatever buffer is named (Q9)");
});

void t.test("AutoIdentify watches the glass by itself, until Cancel", async (t) => {
  const desk = await new Desk().started();
  await desk.enrol("alice", 2);
  t.equal(await desk.ask(command(0x32, 3, 0, 199, 0, 1)), "");
  desk.device.hand.touch({ name: "alice", quality: 90 });
  await desk.clock.pass(1000);
  t.match(hexOf(desk.taken()), /^EF 01 FF FF FF FF 07 00 08 00 03 00 02 00 .. .. ..$/);
  desk.device.hand.lift();
  t.equal(await desk.ask(command(0x32, 3, 0, 199, 0, 1)), "");
  t.equal(await desk.ask(command(0x30)), ok);
  desk.device.hand.touch({ name: "alice", quality: 90 });
  t.equal(await desk.ask(new Uint8Array(0)), "", "cancelled");
});

void t.test("no bytes whatever end it: it answers as soon as the line was silent", async () => {
  const desk = await new Desk().started();
  const nearly = fc.tuple(fc.constant(bytesOf("EF 01 FF FF FF FF 01 00")), fc.uint8Array({ maxLength: 40 })).map((parts) => Buffer.concat(parts));
  await fc.assert(fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 400 }), nearly), async (noise) => {
    await desk.ask(noise);
    const reply = await desk.ask(handShake);
    return reply === ok;
  }), { numRuns: 300 });
});

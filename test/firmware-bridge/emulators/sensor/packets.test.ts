import fc from "fast-check";
import t from "tap";
import { encode, PacketReader, type Packet } from "../../../../firmware-bridge/emulators/sensor/packets.ts";
import { PureModule } from "../support/module.ts";

const anyPacket: fc.Arbitrary<Packet> = fc.record({
  address: fc.integer({ min: 0, max: 0xffffffff }), pid: fc.integer({ min: 0, max: 255 }), content: fc.uint8Array({ maxLength: 256 }),
});
const bytes = (hex: string): Uint8Array => Buffer.from(hex.replaceAll(" ", ""), "hex");

void t.test("what is encoded is read again, however it is cut", (t) => {
  fc.assert(fc.property(anyPacket, fc.integer({ min: 0, max: 270 }), (packet, at) => {
    const wire = encode(packet);
    const reader = new PacketReader();
    const read = [...reader.push(wire.subarray(0, at)), ...reader.push(wire.subarray(at))];
    t.same(read.map(({ content, ...rest }) => ({ ...rest, content: [...content] })), [{ ...packet, content: [...packet.content], intact: true }]);
    t.ok(reader.empty);
  }));
  t.end();
});

void t.test("a changed byte is never an intact packet of the same content", (t) => {
  fc.assert(fc.property(anyPacket, fc.nat(), fc.integer({ min: 1, max: 255 }), (packet, where, change) => {
    const wire = encode(packet);
    const at = 6 + where % (wire.length - 6);
    wire[at] = wire[at]! ^ change;
    t.notOk(new PacketReader().push(wire).some((read) => read.intact && read.content.length === packet.content.length));
  }));
  t.end();
});

void t.test("resynchronises", (t) => {
  const shake = "EF 01 FF FF FF FF 01 00 03 40 00 44";
  for (const stray of ["55", "00 00 55", "EF", "EF EF", "EF 01 FF FF FF FF 01 00 00", "EF 01 FF FF FF FF 01 00 01", "EF 01 FF FF FF FF 01 01 03", "EF 01 FF FF FF FF 01 FF FF"]) {
    t.same(new PacketReader().push(bytes(`${stray} ${shake}`)).map(({ content }) => [...content]), [[0x40]], stray);
  }
  const reader = new PacketReader();
  reader.push(bytes("EF 01 FF FF FF FF 01 00 FF"));
  t.notOk(reader.empty);
  reader.forget();
  t.equal(reader.push(bytes(shake)).length, 1, "what was begun is forgotten");
  t.end();
});

void t.test("an empty data packet has length 2, the longest 258", (t) => {
  t.equal(Buffer.from(encode({ address: 0xffffffff, pid: 8, content: new Uint8Array(0) })).toString("hex"), "ef01ffffffff080002000a");
  t.equal(encode({ address: 0, pid: 2, content: new Uint8Array(256) }).length, 267);
  t.end();
});

void t.test("random bytes do no harm", (t) => {
  const command = fc.uint8Array({ minLength: 1, maxLength: 40 }).map((content) => encode({ address: 0xffffffff, pid: 1, content }));
  const noise = fc.oneof(fc.uint8Array({ maxLength: 300 }), command);
  fc.assert(fc.property(fc.array(noise, { maxLength: 8 }), (chunks) => {
    const module = new PureModule();
    for (const chunk of chunks) module.wire(Buffer.from(chunk).toString("hex"));
    module.say("30");
    module.powerCycle();
    module.state = { ...module.state, flash: { ...module.state.flash, password: 0 } };
    t.equal(module.say("40"), "00");
  }));
  t.end();
});

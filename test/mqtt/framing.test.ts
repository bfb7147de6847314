import t from "tap";
import fc from "fast-check";
import { generate } from "mqtt-packet";
import { PacketMeter } from "../../agent/mqtt/framing.ts";

const most = 300;
const publish = (bytes: number) => generate({ cmd: "publish", topic: "t", payload: Buffer.alloc(bytes), qos: 0, retain: false, dup: false });
const accepted = (...chunks: readonly Uint8Array[]): boolean => {
  const meter = new PacketMeter(most);
  return chunks.every((chunk) => meter.accepts(chunk));
};

void t.test("a packet is measured by what it announces", (c) => {
  c.ok(accepted(publish(297)), "300 bytes after the fixed header");
  c.notOk(accepted(publish(298)), "301");
  c.notOk(accepted(Buffer.from([0x30, 0xad, 0x02])), "301, before any of them came");
  c.ok(accepted(Buffer.from([0x30, 0xac, 0x02])), "300");
  c.ok(accepted(Buffer.from([0xc0, 0x00, 0xc0, 0x00]), publish(297)), "PINGREQ has no body");
  c.notOk(accepted(Buffer.from([0x30, 0x80, 0x80, 0x80, 0x80])), "a length of more than four bytes (§2.2.3)");
  c.ok(accepted(Buffer.from([0x30, 0x80, 0x80, 0x80, 0x00])), "of four, wasteful, is one");
  c.end();
});

void t.test("however the bytes are cut, the first packet that is too long is the one refused", (c) => {
  fc.assert(fc.property(fc.array(fc.nat(400), { minLength: 1, maxLength: 8 }), fc.integer({ min: 1, max: 500 }), (sizes, step) => {
    const stream = Buffer.concat(sizes.map(publish));
    const chunks: Buffer[] = [];
    for (let at = 0; at < stream.length; at += step) chunks.push(stream.subarray(at, at + step));
    return accepted(...chunks) === sizes.every((size) => size + 3 <= most);
  }));
  fc.assert(fc.property(fc.array(fc.nat(297), { maxLength: 3 }), (sizes) => accepted(...[...Buffer.concat(sizes.map(publish))].map((byte) => Uint8Array.of(byte)))), { numRuns: 20 });
  c.end();
});

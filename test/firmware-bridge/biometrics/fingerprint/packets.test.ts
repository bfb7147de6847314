import fc from "fast-check";
import t from "tap";
import { concat } from "../../../../agent/runtime/encoding.ts";
import { encodePacket, packetType, parse, parserStart, type Heard, type Packet } from "../../../../firmware-bridge/biometrics/fingerprint/packets.ts";
import { unhex } from "../../support/scripted-line.ts";

const kinds = (heard: readonly Heard[]): readonly string[] => heard.map((item) => item.kind);
const packets = (heard: readonly Heard[]): readonly Packet[] => heard.flatMap((item) => (item.kind === "packet" ? [item.packet] : []));
const all = (bytes: Uint8Array): readonly Heard[] => parse(parserStart, bytes).heard;

function byteByByte(bytes: Uint8Array): readonly Heard[] {
  const heard: Heard[] = [];
  let state = parserStart;
  for (const byte of bytes) {
    const step = parse(state, Uint8Array.of(byte));
    state = step.state;
    heard.push(...step.heard);
  }
  return heard;
}

void t.test("replies of real modules (hardware/fingerprint.md §9)", (t) => {
  const replies: readonly (readonly [string, string])[] = [
    ["EF 01 FF FF FF FF 07 00 13 00 00 04 00 00 00 C8 00 03 FF FF FF FF 00 02 00 06 04 ED", "0000040000 00C8 0003 FFFFFFFF 0002 0006"],
    ["EF 01 FF FF FF FF 07 00 07 00 00 01 00 60 00 6F", "00 0001 0060"],
    ["EF 01 FF FF FF FF 07 00 07 09 01 EE 00 00 01 06", "09 01EE 0000"],
    ["EF 01 FF FF FF FF 07 00 03 13 00 1D", "13"],
    ["EF 01 FF FF FF FF 07 00 03 00 00 0A", "00"],
    ["EF 01 FF FF FF FF 07 00 03 02 00 0C", "02"],
    ["EF 01 FF FF FF FF 07 00 03 21 00 2B", "21"],
    ["EF 01 FF FF FF FF 07 00 03 FC 01 06", "FC"],
  ];
  for (const [bytes, content] of replies) {
    const expected = [{ address: 0xffffffff, type: packetType.ack, content: unhex(content) }];
    t.same(packets(all(unhex(bytes))), expected, bytes);
    t.same(packets(byteByByte(unhex(bytes))), expected, `${bytes} byte by byte`);
    t.equal(Buffer.from(encodePacket(expected[0]!)).toString("hex"), unhex(bytes).reduce((text, byte) => text + byte.toString(16).padStart(2, "0"), ""));
  }
  t.end();
});

const ok = unhex("EF 01 FF FF FF FF 07 00 03 00 00 0A");

void t.test("damage is named, and the next packet is found", (t) => {
  t.same(kinds(all(concat(unhex("EF 01 FF FF FF FF 07 00 03 00 00 0B"), ok))), ["bad-checksum", "packet"]);
  for (const length of ["00 00", "00 01", "01 03", "FF FF"]) {
    t.same(kinds(all(concat(unhex(`EF 01 FF FF FF FF 07 ${length} 00 00 0A`), ok))), ["bad-length", "packet"], `length ${length}`);
  }
  t.same(kinds(all(concat(unhex("EF 01 FF FF FF FF 03 00 03 00 00 0A"), ok))), ["bad-type", "packet"]);
  t.same(all(concat(Uint8Array.of(0x55), ok)), [{ kind: "stray", bytes: Uint8Array.of(0x55) }, ...all(ok)]);
  t.same(kinds(all(concat(ok, Uint8Array.of(0x55)))), ["packet", "stray"]);
  t.same(kinds(all(unhex("EF 55 EF 01"))), ["stray"], "EF alone is no header");
  t.end();
});

void t.test("lengths 2 and 258 are packets", (t) => {
  for (const size of [0, 256]) {
    const packet: Packet = { address: 1, type: packetType.data, content: new Uint8Array(size).fill(0xef) };
    t.same(packets(all(encodePacket(packet))), [packet]);
  }
  t.end();
});

void t.test("a false header hides nothing once the line is quiet", (t) => {
  const hidden = parse(parserStart, concat(unhex("EF 01 FF FF FF FF 07 01 02"), ok));
  t.same(hidden.heard, []);
  t.same(kinds(parse(hidden.state, new Uint8Array(0), true).heard), ["cut-short", "packet"]);
  const unfinished = parse(parserStart, ok.subarray(0, 10));
  const quiet = parse(unfinished.state, new Uint8Array(0), true);
  t.same(quiet.heard, []);
  t.same(kinds(parse(quiet.state, ok.subarray(10)).heard), ["packet"], "a true unfinished packet outlives the quiet");
  t.end();
});

const packet = fc.record({
  address: fc.constantFrom(0xffffffff, 0x12345678),
  type: fc.constantFrom(...Object.values(packetType)),
  content: fc.uint8Array({ minLength: 0, maxLength: 256 }),
});
/** Weighted towards what looks like a packet. */
const garbage = fc.array(fc.oneof(fc.nat(255), fc.constantFrom(0xef, 0x01, 0xff, 0x00, 0x55, 0x07)), { maxLength: 40 }).map((bytes) => Uint8Array.from(bytes));

void t.test("arbitrary garbage never throws, however it is split", (t) => {
  fc.assert(fc.property(fc.array(garbage), (chunks) => {
    let state = parserStart;
    for (const chunk of chunks) state = parse(state, chunk).state;
    parse(state, new Uint8Array(0), true);
  }));
  t.end();
});

void t.test("valid packets between garbage are always found", (t) => {
  fc.assert(fc.property(fc.array(fc.tuple(garbage, packet), { maxLength: 5 }), fc.array(fc.nat(60)), (items, cuts) => {
    const stream = concat(...items.flatMap(([noise, wanted]) => [noise, encodePacket(wanted)]));
    const heard: Heard[] = [];
    let state = parserStart;
    let at = 0;
    for (const cut of [...cuts, stream.length]) {
      const step = parse(state, stream.subarray(at, at + cut));
      state = step.state;
      heard.push(...step.heard);
      at = Math.min(at + cut, stream.length);
    }
    // The line goes quiet: as often as there may be a false header left.
    for (let quiet = 0; quiet < 40 * items.length; quiet++) {
      const step = parse(state, new Uint8Array(0), true);
      state = step.state;
      heard.push(...step.heard);
    }
    const found = packets(heard).map((item) => Buffer.from(encodePacket(item)).toString("hex"));
    let from = 0;
    return items.every(([, wanted]) => {
      const index = found.indexOf(Buffer.from(encodePacket(wanted)).toString("hex"), from);
      from = index + 1;
      return index >= 0;
    });
  }), { numRuns: 300 });
  t.end();
});

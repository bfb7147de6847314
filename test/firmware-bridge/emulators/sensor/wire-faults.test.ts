import t from "tap";
import { concat } from "../../../../agent/runtime/encoding.ts";
import { fault, isWireFault, type FaultRequest } from "../../../../firmware-bridge/emulators/sensor/faults/fault.ts";
import { fits, spoil } from "../../../../firmware-bridge/emulators/sensor/faults/wire.ts";
import { encode } from "../../../../firmware-bridge/emulators/sensor/packets.ts";

const address = 0xffffffff;
const ack = encode({ address, pid: 7, content: Uint8Array.of(0) });
const data = [2, 8].map((pid, n) => encode({ address, pid, content: new Uint8Array(32).fill(n + 1) }));
const previous = encode({ address, pid: 7, content: Uint8Array.of(9) });
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

function bursts(request: FaultRequest, packets: readonly Uint8Array[], interrupted = () => true) {
  const parsed = fault.parse(request);
  if (!isWireFault(parsed)) throw new Error(`${parsed.name} is no wire fault`);
  return { fits: fits(parsed, packets), sent: spoil(parsed, { packets, previous, interrupted }) };
}
const wire = (request: FaultRequest, packets: readonly Uint8Array[] = [ack]): string => hex(concat(...[...bursts(request, packets).sent].map(({ bytes }) => bytes)));

void t.test("faults of an ack, byte for byte", (t) => {
  const cases: readonly (readonly [FaultRequest, string])[] = [
    [{ name: "drop-byte", at: 0 }, "01ffffffff07000300000a"],
    [{ name: "drop-byte", at: 11 }, "ef01ffffffff0700030000"],
    [{ name: "flip-byte", at: 9 }, "ef01ffffffff070003ff000a"],
    [{ name: "insert-byte", at: 2, byte: 0x55 }, "ef0155ffffffff07000300000a"],
    [{ name: "stray-bytes", bytes: [0x55, 0x00] }, "5500ef01ffffffff07000300000a"],
    [{ name: "bad-checksum" }, "ef01ffffffff07000300000b"],
    [{ name: "bad-length", length: 0 }, "ef01ffffffff07000000000a"],
    [{ name: "bad-length", length: 1 }, "ef01ffffffff07000100000a"],
    [{ name: "bad-length", length: 2 }, "ef01ffffffff07000200000a"],
    [{ name: "bad-length", length: 259 }, "ef01ffffffff07010300000a"],
    [{ name: "bad-length", length: 0xffff }, "ef01ffffffff07ffff00000a"],
    [{ name: "wrong-pid" }, "ef01ffffffff030003000006"],
    [{ name: "wrong-pid", pid: 2 }, "ef01ffffffff020003000005"],
    [{ name: "wrong-address" }, "ef01fffffffe07000300000a"],
    [{ name: "silent" }, ""],
    [{ name: "double" }, "ef01ffffffff07000300000aef01ffffffff07000300000a"],
    [{ name: "previous" }, hex(previous)],
    [{ name: "late", ms: 500 }, hex(ack)],
  ];
  for (const [request, expected] of cases) t.equal(wire(request), expected, JSON.stringify(request));
  t.end();
});

void t.test("pauses", (t) => {
  t.same([...bursts({ name: "late", ms: 500 }, [ack]).sent].map(({ waitMs }) => waitMs), [500]);
  for (let at = 1; at < 12; at++) {
    const parts = [...bursts({ name: "split", at, pauseMs: 7 }, [ack]).sent];
    t.same(parts.map(({ waitMs, bytes }) => [waitMs, bytes.length]), [[0, at], [7, 12 - at]]);
    t.equal(hex(concat(...parts.map(({ bytes }) => bytes))), hex(ack));
  }
  const each = [...bursts({ name: "split" }, [ack]).sent];
  t.same(each.map(({ bytes }) => bytes.length), Array(12).fill(1));
  t.equal(hex(concat(...each.map(({ bytes }) => bytes))), hex(ack));
  t.end();
});

void t.test("faults of data", (t) => {
  const packets = [ack, ...data];
  t.equal(wire({ name: "missing-end" }, packets), hex(concat(ack, data[0]!)));
  const short = encode({ address, pid: 8, content: new Uint8Array(22).fill(2) });
  t.equal(wire({ name: "short-last" }, packets), hex(concat(ack, data[0]!, short)), "well formed, ten bytes less");
  t.equal(wire({ name: "wrong-address", packet: 1 }, packets).slice(24, 36), "ef01fffffffe");
  t.equal(wire({ name: "bad-checksum", packet: 2 }, packets), hex(concat(ack, data[0]!, Uint8Array.from([...data[1]!.subarray(0, -1), data[1]!.at(-1)! ^ 1]))));
  let left = 3;
  const endless = [...bursts({ name: "endless-data" }, packets, () => left-- === 0).sent].map(({ bytes }) => bytes);
  t.equal(endless.length, 6);
  t.notOk(endless.slice(1).some((bytes) => bytes[6] !== 2), "never an 08");
  t.equal(hex(endless[5]!), hex(encode({ address, pid: 2, content: new Uint8Array(32) })));
  t.end();
});

void t.test("a fault waits for a reply that has what it spoils", (t) => {
  for (const request of [
    { name: "missing-end" }, { name: "short-last" }, { name: "endless-data" }, { name: "bad-checksum", packet: 1 }, { name: "flip-byte", at: 12 },
  ] as const) {
    t.notOk(bursts(request, [ack]).fits, request.name);
    t.ok(bursts(request, [ack, ...data]).fits, request.name);
  }
  t.notOk(bursts({ name: "silent" }, []).fits, "no reply");
  t.end();
});

void t.test("fault requests are strict", (t) => {
  for (const bad of [
    { name: "nothing" }, { name: "drop-byte" }, { name: "late", ms: 0 }, { name: "bad-length", length: 65536 }, { name: "flip-byte", at: -1 },
    { name: "silent", times: 0 }, { name: "silent", opcode: 256 }, { name: "answer", code: 1 }, { name: "lower-security", level: 6 }, { name: "silent", extra: 1 },
  ]) t.notOk(fault.safeParse(bad).success, JSON.stringify(bad));
  t.end();
});

import fc from "fast-check";
import t from "tap";
import { encodeClear, encodeQuery, encodeSerial, parseReport } from "../../../firmware-bridge/panel/sysex.ts";
import { bytesOf, hexOf } from "../firmware/support/bench.ts";

const heard = "01 02 15 05 00 00 00 00 02 00 00 00 00 01 00 00 00 00 03 00 00 00 00 7f 7f 7f 7f 0f 01 00 02 00 03 00 04 00 05 00 06 00 07 00 7f 01";
const withSum = (hex: string): number[] => { const bytes = [...bytesOf(hex)]; return [...bytes, bytes.reduce((sum, byte) => sum + byte, 0) & 0x7f]; };

void t.test("what is said, byte by byte", async (t) => {
  t.equal(hexOf(encodeQuery()), "0a 00 00");
  t.equal(hexOf(encodeClear(1)), "0a 02 01 00 00 00 00 03");
  t.equal(hexOf(encodeClear(0xffffffff)), "0a 02 7f 7f 7f 7f 0f 0d");
  t.equal(hexOf(encodeSerial(bytesOf("01 02 03 04 05 06 07 ff"))), "0a 03 01 00 02 00 03 00 04 00 05 00 06 00 07 00 7f 01 1f");
});

void t.test("what is heard: whole and with its sum, or nothing", async (t) => {
  t.same(parseReport(withSum(heard)), {
    answer: "cleared", open: true, pressed: false, latched: true, damaged: false, counter: 5, starts: 2, seen: 1, kept: 3, seconds: 0xffffffff, serial: "01020304050607ff",
  });
  t.match(parseReport(withSum(heard.replace("15", "0a"))), { open: false, pressed: true, latched: false, damaged: true, serial: null });
  for (const [why, bytes] of [
    ["short", withSum(heard.slice(3))], ["long", withSum(`${heard} 00`)], ["a wrong sum", [...withSum(heard).slice(0, -1), 0x7e]], ["another command", withSum(heard.replace("01 02", "00 02"))],
    ["no answer known", withSum(heard.replace("01 02", "01 07"))], ["more than 32 bits", withSum(heard.replace("7f 0f", "7f 10"))], ["empty", []],
  ] as const) t.equal(parseReport(bytes), null, why);
  fc.assert(fc.property(fc.integer({ min: 0, max: 44 }), fc.integer({ min: 1, max: 127 }), (at, change) => {
    const bytes = withSum(heard);
    bytes[at] = ((bytes[at] ?? 0) + change) & 0x7f;
    return parseReport(bytes) === null;
  }));
});

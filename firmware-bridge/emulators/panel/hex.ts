import { EmulatorError } from "../errors.ts";

/** Words of flash of an ATmega328P. */
const flashBytes = 0x8000;
const record = { data: 0, end: 1 } as const;

/** Intel HEX as avr-objcopy writes it: data and end records. @throws FIRMWARE_DAMAGED */
export function parseHex(text: string): Uint16Array {
  const flash = new Uint8Array(flashBytes).fill(0xff);
  let ended = false;
  for (const line of text.split(/\r?\n/).filter((one) => one !== "")) {
    const bytes = /^:(?:[0-9A-F]{2}){5,}$/i.test(line) ? Buffer.from(line.slice(1), "hex") : Buffer.alloc(0);
    const [count = 0, high = 0, low = 0, type] = bytes;
    const address = high * 256 + low;
    const sound = bytes.length === count + 5 && bytes.reduce((sum, byte) => sum + byte, 0) % 256 === 0;
    if (!sound || ended || (type === record.data ? address + count > flashBytes : type !== record.end)) {
      throw new EmulatorError("FIRMWARE_DAMAGED", `this is no line of a firmware for an ATmega328P: ${line.slice(0, 80)}`, { remedy: "build it: node firmware-bridge/firmware/build.mjs" });
    }
    if (type === record.end) ended = true;
    else flash.set(bytes.subarray(4, 4 + count), address);
  }
  if (!ended) throw new EmulatorError("FIRMWARE_DAMAGED", "the firmware ends before its end", { remedy: "build it: node firmware-bridge/firmware/build.mjs" });
  return new Uint16Array(flash.buffer);
}

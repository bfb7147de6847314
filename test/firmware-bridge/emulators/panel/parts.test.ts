import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { Display } from "../../../../firmware-bridge/emulators/panel/display.ts";
import { Eeprom } from "../../../../firmware-bridge/emulators/panel/eeprom.ts";
import { parseHex } from "../../../../firmware-bridge/emulators/panel/hex.ts";

void t.test("Intel HEX: read as written, or refused", async (t) => {
  const end = ":00000001FF";
  const flash = parseHex(`:0400100001020304E2\r\n${end}\r\n`);
  t.same([flash.length, flash[7], flash[8], flash[9], flash[10]], [0x4000, 0xffff, 0x0201, 0x0403, 0xffff]);
  for (const bad of ["", ":0400100001020304E2", `:0400100001020304E3\n${end}`, `:0500100001020304E2\n${end}`, `:04FFFE0001020304F5\n${end}`, `:020000021000EC\n${end}`, `${end}\n:0400100001020304E2`, "hello", `:zz\n${end}`]) {
    t.throws(() => parseHex(bad), { code: "FIRMWARE_DAMAGED" }, bad);
  }
});

void t.test("the EEPROM's file is written byte by byte", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "shardkeep-eeprom-"));
  t.teardown(() => { rmSync(folder, { recursive: true }); });
  const path = join(folder, "eeprom");
  const first = new Eeprom(path);
  t.equal(first.readMemory(5), 0xff);
  first.writeMemory(5, 0x0f);
  first.writeMemory(5, 0xfe);
  t.equal(new Eeprom(path).readMemory(5), 0x0e, "ones become zeros");
  first.eraseMemory(5);
  t.equal(new Eeprom(path).readMemory(5), 0xff);
  first.close();
  writeFileSync(path, "short");
  t.throws(() => new Eeprom(path), { code: "STATE_DAMAGED" });
});

void t.test("a display that is busy loses what it is told, as the real one does", async (t) => {
  const display = new Display();
  let us = 0;
  const wait = (more: number): void => { us += more; };
  const nibble = (bits: number, data = false): void => {
    for (const enable of [0x04, 0]) display.write(bits << 4 | enable | (data ? 1 : 0), us);
    wait(100);
  };
  const byte = (value: number, data = false): void => { nibble(value >> 4, data); nibble(value & 0x0f, data); };
  for (const bits of [3, 3, 3, 2]) { nibble(bits); wait(4200); }
  t.equal(display.lines, null, "off");
  byte(0x28);
  byte(0x0c);
  byte(0x01);
  wait(2000);
  for (const letter of Buffer.from("Hi")) byte(letter, true);
  byte(0xc0);
  byte(0x21, true);
  t.same(display.lines, ["Hi", "!"]);
  byte(0x01);
  byte(0x41, true);
  wait(2000);
  t.same(display.lines, ["", ""], "still busy with clearing");
  byte(0x02);
  wait(2000);
  byte(0x42, true);
  t.same(display.lines, ["B", ""]);
});

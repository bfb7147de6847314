import t from "tap";
import * as commands from "../../../../firmware-bridge/biometrics/fingerprint/commands.ts";
import { encodePacket, packetType } from "../../../../firmware-bridge/biometrics/fingerprint/packets.ts";
import { parseIndexPage, parseParameters, parseProduct } from "../../../../firmware-bridge/biometrics/fingerprint/parameters.ts";
import { hex, unhex } from "../../support/scripted-line.ts";

void t.test("commands, byte for byte (hardware/fingerprint.md §9)", (t) => {
  const vectors: readonly (readonly [string, commands.Command<unknown>, string])[] = [
    ["VfyPwd 0", commands.verifyPassword(new Uint8Array(4)), "EF 01 FF FF FF FF 01 00 07 13 00 00 00 00 00 1B"],
    ["SetPwd 11223344", commands.setPassword(unhex("11223344")), "EF 01 FF FF FF FF 01 00 07 12 11 22 33 44 00 C4"],
    ["SetAdder 12345678", commands.setAddress(0x12345678), "EF 01 FF FF FF FF 01 00 07 15 12 34 56 78 01 31"],
    ["SetSysPara security 5", commands.setParameter(commands.parameter.securityLevel, 5), "EF 01 FF FF FF FF 01 00 05 0E 05 05 00 1E"],
    ["SetSysPara packet 128", commands.setParameter(commands.parameter.packetSize, 2), "EF 01 FF FF FF FF 01 00 05 0E 06 02 00 1C"],
    ["SetSysPara 115200", commands.setParameter(commands.parameter.baud, 12), "EF 01 FF FF FF FF 01 00 05 0E 04 0C 00 24"],
    ["ReadSysPara", commands.readParameters(), "EF 01 FF FF FF FF 01 00 03 0F 00 13"],
    ["GenImg", commands.getImage(), "EF 01 FF FF FF FF 01 00 03 01 00 05"],
    ["GetImageEx", commands.getImageEx(), "EF 01 FF FF FF FF 01 00 03 28 00 2C"],
    ["Img2Tz 1", commands.extractFeatures(1), "EF 01 FF FF FF FF 01 00 04 02 01 00 08"],
    ["RegModel", commands.mergeFeatures(), "EF 01 FF FF FF FF 01 00 03 05 00 09"],
    ["Store 1 -> 5", commands.store(1, 5), "EF 01 FF FF FF FF 01 00 06 06 01 00 05 00 13"],
    ["LoadChar 1 <- 5", commands.load(1, 5), "EF 01 FF FF FF FF 01 00 06 07 01 00 05 00 14"],
    ["Search 1, 0, 200", commands.search(1, 0, 200), "EF 01 FF FF FF FF 01 00 08 04 01 00 00 00 C8 00 D6"],
    ["Match", commands.match(), "EF 01 FF FF FF FF 01 00 03 03 00 07"],
    ["UpChar 1", commands.upload(1), "EF 01 FF FF FF FF 01 00 04 08 01 00 0E"],
    ["DownChar 1", commands.download(1), "EF 01 FF FF FF FF 01 00 04 09 01 00 0F"],
    ["DeletChar 5, 1", commands.remove(5, 1), "EF 01 FF FF FF FF 01 00 07 0C 00 05 00 01 00 1A"],
    ["Empty", commands.empty(), "EF 01 FF FF FF FF 01 00 03 0D 00 11"],
    ["TempleteNum", commands.countTemplates(), "EF 01 FF FF FF FF 01 00 03 1D 00 21"],
    ["ReadIndexTable 0", commands.readIndex(0), "EF 01 FF FF FF FF 01 00 04 1F 00 00 24"],
    ["ReadNotepad 4", commands.readNotepad(4), "EF 01 FF FF FF FF 01 00 04 19 04 00 22"],
    ["WriteNotepad 1 (computed: length 24h)", commands.writeNotepad(1, new Uint8Array(32)), `EF 01 FF FF FF FF 01 00 24 18 01 ${"00".repeat(32)} 00 3E`],
    ["GetRandomCode", commands.getRandom(), "EF 01 FF FF FF FF 01 00 03 14 00 18"],
    ["Aura breathing, 80h, blue, endless", commands.auraLed(1, 0x80, 2, 0), "EF 01 FF FF FF FF 01 00 07 35 01 80 02 00 00 C0"],
    ["CheckSensor", commands.checkSensor(), "EF 01 FF FF FF FF 01 00 03 36 00 3A"],
    ["SoftRst", commands.softReset(), "EF 01 FF FF FF FF 01 00 03 3D 00 41"],
    ["HandShake", commands.handShake(), "EF 01 FF FF FF FF 01 00 03 40 00 44"],
    ["GetFwVer", commands.readFirmware(), "EF 01 FF FF FF FF 01 00 03 3A 00 3E"],
    ["ReadProdInfo", commands.readProduct(), "EF 01 FF FF FF FF 01 00 03 3C 00 40"],
  ];
  for (const [name, { content, name: shape }, bytes] of vectors) {
    t.equal(hex(encodePacket({ address: 0xffffffff, type: packetType.command, content })), hex(unhex(bytes)), name);
    t.equal(content.length, 1 + commands.shapes[shape].parameters, `${name}: as long as the table says`);
  }
  t.same(new Set(vectors.map(([, { name }]) => name)), new Set(Object.keys(commands.shapes)), "every command has a vector");
  t.end();
});

void t.test("the fast search is not among them (Q1), nor firmware update", (t) => {
  const opcodes = Object.values(commands.shapes).map(({ opcode }): number => opcode);
  for (const never of [0x1b, 0x1a, 0x16, 0x32]) t.notOk(opcodes.includes(never));
  t.equal(new Set(opcodes).size, opcodes.length);
  t.end();
});

void t.test("search has 10 ms a slot on top of its deadline (§2.9)", (t) => {
  t.equal(commands.search(1, 0, 200).deadlineMs, 3000);
  t.equal(commands.search(1, 0, 1500).deadlineMs, 16000);
  t.end();
});

void t.test("parameters of real modules", (t) => {
  t.same(parseParameters(unhex("0004 0000 00C8 0003 FFFFFFFF 0002 0006")), {
    status: 4, systemId: 0, capacity: 200, securityLevel: 3, address: 0xffffffff, packetSize: 128, baudRate: 57600,
  });
  t.match(parseParameters(unhex("0000 0000 0050 0003 FFFFFFFF 0002 000C")), { capacity: 80, baudRate: 115200 });
  t.equal(parseParameters(unhex("0000 0000 0050 0003 FFFFFFFF 0000 000C")).packetSize, 32);
  t.end();
});

void t.test("index pages number the slots from the lowest bit (§2.4)", (t) => {
  const page = new Uint8Array(32);
  page[0] = 0b0000_0101;
  page[31] = 0b1000_0000;
  t.same(parseIndexPage(0, page), [0, 2, 255]);
  t.same(parseIndexPage(3, page), [768, 770, 1023]);
  t.end();
});

void t.test("product information (§2.5)", (t) => {
  const body = new Uint8Array(46);
  const put = (at: number, text: string): void => { body.set(Buffer.from(text, "latin1"), at); };
  put(0, "R503");
  put(16, "0001");
  put(20, "SN123456");
  body.set([1, 4], 28);
  body.set([0x06, 0x00], 42);
  body.set([0x00, 0xc8], 44);
  t.same(parseProduct(body), { model: "R503", batch: "0001", serial: "SN123456", hardware: "1.4", templateSize: 1536, capacity: 200 });
  t.end();
});

import t from "tap";
import { PureModule } from "../support/module.ts";

/** hardware/fingerprint.md §9, literally: what drivers send, and what modules were seen to answer. */
const ok = "EF 01 FF FF FF FF 07 00 03 00 00 0A";
const spaced = (hex: string): string => hex.replaceAll(/(..)(?=.)/g, "$1 ");

void t.test("every command of the list is understood", (t) => {
  const commands: readonly (readonly [string, string, string])[] = [
    ["VfyPwd 0", "EF 01 FF FF FF FF 01 00 07 13 00 00 00 00 00 1B", ok],
    ["SetPwd 11223344", "EF 01 FF FF FF FF 01 00 07 12 11 22 33 44 00 C4", ok],
    ["SetAdder 12345678", "EF 01 FF FF FF FF 01 00 07 15 12 34 56 78 01 31", "EF 01 12 34 56 78 07 00 03 00 00 0A"],
    ["SetSysPara security 5", "EF 01 FF FF FF FF 01 00 05 0E 05 05 00 1E", ok],
    ["SetSysPara packet 128", "EF 01 FF FF FF FF 01 00 05 0E 06 02 00 1C", ok],
    ["SetSysPara 115200", "EF 01 FF FF FF FF 01 00 05 0E 04 0C 00 24", ok],
    ["GenImg", "EF 01 FF FF FF FF 01 00 03 01 00 05", "EF 01 FF FF FF FF 07 00 03 02 00 0C"],
    ["GetImageEx", "EF 01 FF FF FF FF 01 00 03 28 00 2C", "EF 01 FF FF FF FF 07 00 03 02 00 0C"],
    ["Img2Tz 1", "EF 01 FF FF FF FF 01 00 04 02 01 00 08", "EF 01 FF FF FF FF 07 00 03 15 00 1F"],
    ["RegModel", "EF 01 FF FF FF FF 01 00 03 05 00 09", "EF 01 FF FF FF FF 07 00 03 0A 00 14"],
    ["Store 1 -> 5", "EF 01 FF FF FF FF 01 00 06 06 01 00 05 00 13", "EF 01 FF FF FF FF 07 00 03 18 00 22"],
    ["LoadChar 1 <- 5", "EF 01 FF FF FF FF 01 00 06 07 01 00 05 00 14", "EF 01 FF FF FF FF 07 00 03 0C 00 16"],
    ["Search 1, 0, 200: a miss with a junk id", "EF 01 FF FF FF FF 01 00 08 04 01 00 00 00 C8 00 D6", "EF 01 FF FF FF FF 07 00 07 09 01 EE 00 00 01 06"],
    ["HiSpeedSearch 1, 0, 200", "EF 01 FF FF FF FF 01 00 08 1B 01 00 00 00 C8 00 ED", "EF 01 FF FF FF FF 07 00 03 FC 01 06"],
    ["Match", "EF 01 FF FF FF FF 01 00 03 03 00 07", "EF 01 FF FF FF FF 07 00 05 08 00 00 00 14"],
    ["UpChar 1", "EF 01 FF FF FF FF 01 00 04 08 01 00 0E", "EF 01 FF FF FF FF 07 00 03 0D 00 17"],
    ["DownChar 1", "EF 01 FF FF FF FF 01 00 04 09 01 00 0F", ok],
    ["UpImage", "EF 01 FF FF FF FF 01 00 03 0A 00 0E", "EF 01 FF FF FF FF 07 00 03 0F 00 19"],
    ["DownImage", "EF 01 FF FF FF FF 01 00 03 0B 00 0F", ok],
    ["DeletChar 5, 1", "EF 01 FF FF FF FF 01 00 07 0C 00 05 00 01 00 1A", ok],
    ["Empty", "EF 01 FF FF FF FF 01 00 03 0D 00 11", ok],
    ["TempleteNum", "EF 01 FF FF FF FF 01 00 03 1D 00 21", "EF 01 FF FF FF FF 07 00 05 00 00 00 00 0C"],
    ["ReadIndexTable 0", "EF 01 FF FF FF FF 01 00 04 1F 00 00 24", `EF 01 FF FF FF FF 07 00 23 00${" 00".repeat(32)} 00 2A`],
    ["ReadNotepad 4", "EF 01 FF FF FF FF 01 00 04 19 04 00 22", `EF 01 FF FF FF FF 07 00 23 00${" 00".repeat(32)} 00 2A`],
    ["GetRandomCode", "EF 01 FF FF FF FF 01 00 03 14 00 18", "EF 01 FF FF FF FF 07 00 07 00 00 00 00 01 00 0F"],
    ["ReadInfPage", "EF 01 FF FF FF FF 01 00 03 16 00 1A", ok],
    ["AutoIdentify 3,0,199,0,1", "EF 01 FF FF FF FF 01 00 08 32 03 00 C7 00 01 01 06", "EF 01 FF FF FF FF 07 00 08 24 00 00 00 00 00 00 33"],
    ["Aura breathing, speed 80h, blue, endless", "EF 01 FF FF FF FF 01 00 07 35 01 80 02 00 00 C0", ok],
    ["CheckSensor", "EF 01 FF FF FF FF 01 00 03 36 00 3A", ok],
    ["SoftRst", "EF 01 FF FF FF FF 01 00 03 3D 00 41", ok],
    ["HandShake", "EF 01 FF FF FF FF 01 00 03 40 00 44", ok],
    ["GetEcho, which an R503 lacks", "EF 01 FF FF FF FF 01 00 03 53 00 57", "EF 01 FF FF FF FF 07 00 03 FC 01 06"],
    ["LED on, which an R503 lacks", "EF 01 FF FF FF FF 01 00 03 50 00 54", "EF 01 FF FF FF FF 07 00 03 FC 01 06"],
  ];
  for (const [name, sent, answered] of commands) t.same(new PureModule().wire(sent).map(spaced), [answered], name);
  t.same(new PureModule().wire("EF 01 FF FF FF FF 01 00 08 31 C8 00 00 01 01 01 04"), [], "AutoEnroll waits for a finger");
  t.end();
});

void t.test("replies captured from real modules", (t) => {
  const r503 = new PureModule();
  r503.say("13 00000000");
  t.equal(spaced(r503.wire("EF 01 FF FF FF FF 01 00 03 0F 00 13")[0]!),
    "EF 01 FF FF FF FF 07 00 13 00 00 04 00 00 00 C8 00 03 FF FF FF FF 00 02 00 06 04 ED", "R503 ReadSysPara (FPM PR#25)");
  const slim = new PureModule("slim-4750");
  slim.say("13 00000000");
  t.equal(spaced(slim.wire("EF 01 FF FF FF FF 01 00 03 0F 00 13")[0]!),
    "EF 01 FF FF FF FF 07 00 13 00 00 00 00 00 00 50 00 03 FF FF FF FF 00 02 00 0C 04 77", "Adafruit 4750 ReadSysPara");
  const other = new PureModule("r307", { password: 1 });
  t.equal(spaced(other.wire("EF 01 FF FF FF FF 01 00 07 13 00 00 00 00 00 1B")[0]!), "EF 01 FF FF FF FF 07 00 03 13 00 1D", "wrong password");
  t.equal(spaced(other.wire("EF 01 FF FF FF FF 01 00 03 01 00 05")[0]!), "EF 01 FF FF FF FF 07 00 03 21 00 2B", "must verify");
  t.end();
});

void t.test("a hit of the captured score reads as the captured reply", (t) => {
  const module = new PureModule();
  module.enrol("alice", 1);
  // Scores are the emulator's own; a poorer touch brings one of them down to the captured 96.
  let hit = "";
  for (let tries = 0; tries < 2000 && !hit.startsWith("0000010060"); tries++) {
    module.touch("alice", 60).say("01");
    module.say("02 01");
    hit = module.say("04 01 0000 00C8");
  }
  module.say("02 01");
  t.equal(spaced(module.wire("EF 01 FF FF FF FF 01 00 08 04 01 00 00 00 C8 00 D6")[0]!), "EF 01 FF FF FF FF 07 00 07 00 00 01 00 60 00 6F");
  t.end();
});

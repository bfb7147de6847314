import t from "tap";
import { PureModule } from "../support/module.ts";

void t.test("a locked module answers 21 to everything but VfyPwd", (t) => {
  const module = new PureModule("r503", { password: 0x11223344 });
  for (const content of ["01", "40", "3C", "35 01 80 02 00", "0F", "16", "19 00", "12 00000000", "FE", "08 01 02"]) t.equal(module.say(content), "21", content);
  t.equal(module.say("13 00000000"), "13", "wrong password");
  t.equal(module.say("40"), "21");
  t.equal(module.say("13 11223344"), "00");
  t.equal(module.say("40"), "00");
  t.equal(module.say("13 11223345"), "13");
  t.equal(module.say("40"), "21", "a wrong one ends the session");
  t.equal(module.say("13 11223344"), "00");
  module.powerCycle();
  t.equal(module.say("40"), "21", "and so does a power cycle");
  t.end();
});

void t.test("a model that does not enforce its password works on (Q21)", (t) => {
  const module = new PureModule("r551", { password: 1 });
  t.equal(module.say("13 00000000"), "13");
  t.equal(module.say("01"), "02");
  t.end();
});

void t.test("SetPwd leaves the running session open until power-off (Q22)", (t) => {
  const module = new PureModule();
  t.equal(module.say("12 A1B2C3D4"), "00");
  t.equal(module.say("40"), "00");
  module.powerCycle();
  t.equal(module.say("40"), "21");
  t.equal(module.say("13 A1B2C3D4"), "00");
  t.end();
});

void t.test("bad packets", (t) => {
  const module = new PureModule();
  t.same(module.wire("EF 01 FF FF FF FF 01 00 03 40 00 45"), ["EF01FFFFFFFF07000301000B"], "checksum");
  for (const content of ["", "01 00", "02", "04 01 0000 00", "13 000000", "18 00 11", "31 C8 00 00 01"]) t.equal(module.say(content), "01", `length of ${content}`);
  for (const content of ["02 00", "02 07", "07 00 0000", "07 07 0000", "09 00", "09 07", "1F 04"]) t.equal(module.say(content), "01", content);
  t.end();
});

void t.test("unknown opcodes by model", (t) => {
  t.equal(new PureModule("r503").say("7A 01 02"), "FC");
  t.same(new PureModule("zfm-20").ask("7A 01 02").acks, []);
  t.equal(new PureModule("r551").say("1B 01 0000 00C8"), "1B01000000C8");
  t.equal(new PureModule("as608").say("53"), "55", "GetEcho");
  t.equal(new PureModule("r307").say("50"), "00", "LED on");
  t.equal(new PureModule("r307").say("1B 01 0000 00C8"), "0900000000", "fast search of an empty library, an id of 0");
  t.end();
});

void t.test("parameters", (t) => {
  const module = new PureModule();
  for (const content of ["0E 04 03", "0E 04 00", "0E 05 00", "0E 05 06", "0E 06 04"]) t.equal(module.say(content), "1B", content);
  t.equal(module.say("0E 07 01"), "1A");
  t.equal(module.say("0E 05 05"), "00");
  t.equal(module.say("0E 06 00"), "00");
  t.equal(module.say("0E 04 0C"), "00");
  t.equal(module.say("0F"), "000000000000C80005FFFFFFFF0000000C");
  module.powerCycle();
  t.equal(module.say("0F"), "000000000000C80005FFFFFFFF0000000C", "kept in flash");
  t.equal(module.state.ram.baud, 12);
  const late = new PureModule("r307");
  late.say("0E 04 0C");
  t.equal(late.state.ram.baud, 6, "an R307 changes its rate at the next power-up (Q16)");
  late.powerCycle();
  t.equal(late.state.ram.baud, 12);
  t.end();
});

void t.test("the status register tells password, image and last match", (t) => {
  const module = new PureModule();
  const status = (): string => module.say("0F").slice(2, 6);
  t.equal(status(), "0000");
  module.say("13 00000000");
  t.equal(status(), "0004");
  module.enrol("alice", 3);
  module.capture("alice", 1);
  t.equal(status(), "000C");
  module.say("04 01 0000 00C8");
  t.equal(status(), "000E");
  t.end();
});

void t.test("notepad", (t) => {
  const module = new PureModule();
  const page = "5A".repeat(31) + "01";
  t.equal(module.say(`18 0F ${page}`), "00");
  t.equal(module.say(`18 10 ${page}`), "1C");
  t.equal(module.say("19 10"), "1C");
  module.powerCycle();
  t.equal(module.say("19 0F"), `00${page}`);
  t.equal(module.say("19 0E"), `00${"00".repeat(32)}`);
  t.end();
});

void t.test("product information is honest: its serial number begins with EMU", (t) => {
  const text = (hex: string): string => Buffer.from(hex, "hex").toString("latin1");
  const info = new PureModule().say("3C");
  t.equal(info.length, 2 * 47);
  t.equal(text(info.slice(2, 34)), "R503" + "\0".repeat(12));
  t.equal(text(info.slice(42, 58)), "EMU00001");
  t.equal(text(info.slice(62, 78)), "EMULATED");
  t.equal(info.slice(78), "00C000C0060000C8", "192 by 192, 1536 bytes, 200 slots");
  t.match(text(new PureModule().say("3A")), /EMULATED R503/);
  t.match(text(new PureModule().say("39")), /EMULATED/);
  t.end();
});

void t.test("the information page shows the password in clear (W4)", (t) => {
  const module = new PureModule();
  module.say("12 11223344");
  const { data } = module.ask("16");
  t.equal(data?.length, 512);
  const hex = Buffer.from(data ?? []).toString("hex");
  t.equal(hex.slice(120, 128), "11223344");
  t.equal(hex.slice(252, 256), "1234", "valid flag");
  t.equal(Buffer.from(data ?? []).toString("latin1", 28, 36), "EMU00001");
  t.end();
});

void t.test("images and features by quality", (t) => {
  const module = new PureModule();
  const outcomes = (quality: number): string[] => [module.touch("alice", quality).say("01"), module.say("02 01"), module.say("28")];
  t.same(outcomes(100), ["00", "00", "00"]);
  t.same(outcomes(29), ["00", "07", "07"], "GenImg takes what Img2Tz and GetImageEx refuse (Q5)");
  t.same(outcomes(9), ["00", "06", "07"]);
  module.finger = null;
  t.same([module.say("01"), module.say("02 01")], ["02", "15"], "an empty glass leaves no image");
  t.equal(module.say("28"), "02");
  t.end();
});

void t.test("enrolment and search", (t) => {
  const module = new PureModule();
  module.enrol("alice", 7, 6);
  module.enrol("bob", 199);
  module.capture("alice", 1);
  const hit = module.say("04 01 0000 00C8");
  t.match(hit, /^000007/);
  t.ok(parseInt(hit.slice(6), 16) >= 100 && parseInt(hit.slice(6), 16) <= 200);
  t.equal(module.say("04 01 0008 00C0"), "0901EE0000", "not in that range");
  t.equal(module.say("04 01 0000 0007"), "0901EE0000", "the range ends before 7");
  t.match(module.say("04 01 0007 0001"), /^000007/);
  module.capture("eve", 1);
  t.equal(module.say("04 01 0000 00C8"), "0901EE0000", "a stranger");
  t.equal(module.say("1D"), "000002");
  t.equal(module.say("1F 00"), `0080${"00".repeat(23)}80${"00".repeat(7)}`, "lowest slot in the lowest bit");
  module.powerCycle();
  t.equal(module.say("1D"), "000002", "the library outlives the power");
  t.equal(module.say("04 01 0000 00C8"), "0901EE0000", "the features do not");
  t.end();
});

void t.test("the index table of an R551 is off by one (Q17), and page 1 begins at slot 256", (t) => {
  const module = new PureModule("r551");
  module.enrol("alice", 0);
  module.enrol("bob", 256);
  t.equal(module.say("1F 00"), `0002${"00".repeat(31)}`);
  t.equal(module.say("1F 01"), `0002${"00".repeat(31)}`);
  t.end();
});

void t.test("security levels are thresholds", (t) => {
  const module = new PureModule();
  module.enrol("alice", 0);
  const matches = (level: number): number => {
    module.say(`0E 05 0${level}`);
    let hits = 0;
    for (let n = 0; n < 60; n++) {
      module.touch("alice", 30).say("01");
      module.say("02 01");
      if (module.say("04 01 0000 00C8").startsWith("00")) hits += 1;
    }
    return hits;
  };
  const low = matches(1);
  const high = matches(5);
  t.ok(low > high, `${low} of 60 poor touches match at level 1, ${high} at level 5`);
  t.ok(high > 0);
  module.touch("alice", 100);
  for (let n = 0; n < 60; n++) {
    module.say("01");
    module.say("02 01");
    t.match(module.say("04 01 0000 00C8"), /^00/, "a good touch always does");
  }
  t.end();
});

void t.test("library refusals", (t) => {
  const module = new PureModule();
  module.enrol("alice", 5);
  t.equal(module.say("06 01 00C8"), "0B");
  t.equal(module.say("07 01 00C8"), "0B");
  t.equal(module.say("07 01 0004"), "0C", "empty slot");
  t.equal(module.say("07 01 0005"), "00");
  t.equal(module.say("0C 00C8 0001"), "10");
  t.equal(module.say("0C 00C7 0002"), "10");
  t.equal(module.say("0C 0000 0000"), "10");
  t.equal(module.say("0C 0006 0010"), "00");
  t.equal(module.say("1D"), "000001");
  t.equal(module.say("0C 0000 0006"), "00");
  t.equal(module.say("1D"), "000000");
  module.enrol("bob", 1);
  t.equal(module.say("0D"), "00");
  t.equal(module.say("1D"), "000000");
  t.end();
});

void t.test("features that do not belong together", (t) => {
  const mixed = (profile: string): string => {
    const module = new PureModule(profile);
    module.capture("alice", 1);
    module.capture("bob", 2);
    return module.say("05");
  };
  t.equal(mixed("r503"), "0A");
  t.equal(mixed("slim-4750"), "00", "some modules merge two people (Q6)");
  const alone = new PureModule();
  alone.capture("alice", 1);
  t.equal(alone.say("05"), "0A", "one image is no template");
  const both = new PureModule("slim-4750");
  both.capture("alice", 1);
  both.capture("bob", 2);
  both.say("05");
  both.say("06 01 0000");
  for (const name of ["alice", "bob"]) {
    both.capture(name, 1);
    t.match(both.say("04 01 0000 0001"), /^000000/, `${name} opens it`);
  }
  t.end();
});

void t.test("a GetImage without finger spoils the search of an R503 (Q3), not its enrolment", (t) => {
  for (const [profile, expected] of [["r503", /^09/], ["r307", /^00/]] as const) {
    const module = new PureModule(profile);
    module.enrol("alice", 0);
    module.capture("alice", 1);
    module.finger = null;
    t.equal(module.say("01"), "02");
    t.match(module.say("04 01 0000 0001"), expected, profile);
    module.capture("alice", 2);
    t.equal(module.say("05"), "00");
  }
  t.end();
});

void t.test("Match takes features in 1 and a template; two features only where Q7 is not", (t) => {
  for (const [profile, features] of [["r503", "080000"], ["r307", /^00(?!0000)/]] as const) {
    const module = new PureModule(profile);
    module.enrol("alice", 0);
    module.capture("alice", 2);
    module.capture("alice", 1);
    if (profile === "r503") module.state = { ...module.state, ram: { ...module.state.ram, template: null } };
    t.match(module.say("03"), features, `${profile}: two features`);
    module.say("07 02 0000");
    t.match(module.say("03"), /^00(?!0000)/, `${profile}: a template`);
    module.capture("eve", 1);
    t.equal(module.say("03"), "080000", `${profile}: a stranger`);
  }
  t.end();
});

void t.test("templates move to another module and match there (W8)", (t) => {
  const from = new PureModule();
  from.enrol("alice", 3, 4);
  from.say("07 01 0003");
  const { acks, data } = from.ask("08 02");
  t.same(acks, ["00"]);
  t.equal(data?.length, 1536, "the buffer's number does not matter (Q9)");
  const to = new PureModule();
  t.equal(to.say("09 02"), "00");
  for (let at = 0; at < 1536; at += 128) to.data(data!.subarray(at, at + 128), at + 128 === 1536);
  t.same(to.ask("08 01").data, data, "reads back the same");
  t.equal(to.say("06 01 0009"), "00");
  to.capture("alice", 1);
  t.match(to.say("04 01 0000 00C8"), /^000009/);
  t.end();
});

void t.test("a damaged data packet has no ack; only reading back tells", (t) => {
  const from = new PureModule("r307");
  from.enrol("alice", 3);
  from.say("07 02 0003");
  const data = from.ask("08 02").data!;
  const to = new PureModule("r307");
  to.say("09 01");
  for (let at = 0; at < 512; at += 128) to.data(data.subarray(at, at + 128), at === 384, at !== 128);
  const back = to.ask("08 01").data!;
  t.equal(back.length, 512);
  t.notSame(back, data);
  t.equal(to.say("06 01 0000"), "00");
  to.capture("alice", 2);
  t.match(to.say("04 02 0000 0001"), /^09/, "it matches nobody");
  t.equal(to.say("09 01"), "00");
  t.same(to.ask("40").acks, [], "a command ends a transfer that was left");
  to.data(new Uint8Array(512));
  t.not(to.state.ram.buffers[0]?.[0], 0, "what comes then goes nowhere");
  t.end();
});

void t.test("images up and down", (t) => {
  const from = new PureModule();
  from.touch("alice").say("01");
  const { data } = from.ask("0A");
  t.equal(data?.length, 18432, "192 by 192 of 4 bits");
  const to = new PureModule();
  to.say("0B");
  for (let at = 0; at < 18432; at += 128) to.data(data!.subarray(at, at + 128), at + 128 === 18432);
  t.equal(to.say("02 01"), "00");
  to.say("0B");
  to.data(new Uint8Array(64));
  t.equal(to.say("02 01"), "06", "what is no finger gives no features");
  t.end();
});

void t.test("ring light", (t) => {
  const module = new PureModule();
  module.say("35 02 40 04 03");
  t.same(module.state.ram.light, { effect: "flashing", colour: "green", speed: 0x40, count: 3 });
  for (const content of ["35 07 40 01 00", "35 01 40 08 00", "35 00 40 01 00"]) {
    t.equal(module.say(content), "00");
    t.equal(module.state.ram.light.effect, "flashing", `${content} changes nothing`);
  }
  const two = new PureModule("r503-2019");
  two.say("35 03 00 04 00");
  t.equal(two.state.ram.light.effect, "off", "a bi-colour unit ignores green");
  t.end();
});

void t.test("reset, random, ports", (t) => {
  const module = new PureModule();
  t.ok(module.ask("3D").reset);
  t.notOk(module.ask("40").reset);
  t.not(module.say("14"), module.say("14"));
  t.equal(module.say("17 01"), "00");
  t.equal(module.say("17 02"), "1D");
  t.end();
});

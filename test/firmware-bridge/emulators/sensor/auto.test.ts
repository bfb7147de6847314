import t from "tap";
import { PureModule } from "../support/module.ts";

void t.test("AutoEnroll with steps and lifting", (t) => {
  const module = new PureModule();
  t.same(module.ask("31 C8 00 00 01 01").acks, [], "nothing until a finger comes");
  t.equal(module.state.ram.light.effect, "breathing");
  t.same(module.ask("40").acks, [], "it listens to nothing else meanwhile");
  const steps: string[] = [];
  for (let n = 0; n < 6; n++) {
    t.same(module.wait(), [], "an empty glass");
    module.touch("alice");
    steps.push(...module.wait());
    t.same(module.wait(), [], "the finger must leave first");
    module.finger = null;
    module.wait();
  }
  t.same(steps, [
    "000100", "000200", "000300", "000400", "000500", "000600", "000700", "000800", "000900", "001000", "001100", "001200",
    "000D00", "000E00", "000F00",
  ]);
  t.equal(module.state.ram.light.colour, "green");
  module.capture("alice", 1);
  t.match(module.say("04 01 0000 00C8"), /^000000/);
  t.end();
});

void t.test("AutoEnroll without steps or lifting gives the last packet only", (t) => {
  const module = new PureModule();
  module.touch("alice").ask("31 05 00 00 00 00");
  const told = Array.from({ length: 6 }, () => module.wait()).flat();
  t.same(told, ["000F05"]);
  t.ok(module.state.flash.library.has(5));
  t.end();
});

void t.test("AutoEnroll refusals", (t) => {
  const module = new PureModule();
  module.enrol("alice", 5);
  t.equal(module.say("31 05 00 00 00 00"), "220000", "slot taken");
  t.same(module.ask("31 05 01 01 00 00").acks, [], "unless it may be overwritten");
  t.equal(module.say("30"), "00", "Cancel");
  t.same(module.wait(), []);
  t.equal(module.say("40"), "00");
  module.touch("alice").ask("31 06 00 00 00 00");
  t.same(Array.from({ length: 6 }, () => module.wait()).flat(), ["270D00"], "known finger");
  t.notOk(module.state.flash.library.has(6));
  module.touch("bob", 20).ask("31 06 00 00 00 00");
  t.same(module.wait(), ["070200"], "poor image");
  module.finger = null;
  module.ask("31 06 00 00 00 00");
  t.same(module.wait(9_000), []);
  t.same(module.wait(1_000), ["260100"], "ten seconds without a finger");
  const mixed = new PureModule();
  mixed.ask("31 C8 00 00 00 00");
  const told = Array.from({ length: 6 }, (_, n) => mixed.touch(`finger ${n % 2}`).wait()).flat();
  t.same(told, ["0A0E00"], "two fingers do not merge");
  const small = new PureModule("slim-4750");
  t.equal(small.say("31 C8 00 00 00 00"), "FC", "a model without Auto commands");
  const full = new PureModule();
  for (let slot = 0; slot < 200; slot++) full.enrol(`finger ${slot}`, slot);
  t.equal(full.say("31 C8 00 00 00 00"), "1F0000", "library full");
  t.end();
});

void t.test("AutoIdentify", (t) => {
  const module = new PureModule();
  t.equal(module.say("32 03 00 C8 01 01"), "240000000000", "empty library");
  module.enrol("alice", 7);
  t.equal(module.say("32 00 00 C8 01 01"), "010000000000", "no such level");
  t.equal(module.say("32 03 C8 01 01 01"), "0B0000000000");
  module.ask("32 03 00 C8 01 01");
  t.same(module.wait(), []);
  const told = module.touch("alice").wait();
  t.same(told.slice(0, 2), ["000100000000", "000200000000"]);
  t.match(told[2], /^00030007/);
  module.ask("32 03 00 C8 00 02");
  t.same(module.touch("eve").wait(), [], "a try is left");
  t.same(module.wait(), ["090300000000"]);
  module.ask("32 03 00 C8 00 00");
  for (let n = 0; n < 20; n++) t.same(module.wait(), [], "0 tries are endless");
  module.finger = null;
  t.same(module.wait(10_000), ["260100000000"]);
  t.end();
});

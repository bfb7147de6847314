import fc from "fast-check";
import type { Test } from "tap";
import { Bench, bytesOf, clear, hexOf, query, sysex } from "./bench.ts";

const firmware = `f0 79 01 00 ${hexOf([...Buffer.from("shardkeep-panel")].flatMap((letter) => [letter, 0]))} f7`;
const none = "7f";
const input = "00 01 0b 01 7f";
const output = "01 01 7f";
const bus = "06 01 7f";

/** The firmware on its line: Firmata as far as it goes, our own sysex, and whatever else comes. */
export function wire(t: Test, program: Uint16Array): void {
  void t.test("Firmata: who it is and what it can", async (t) => {
    const bench = new Bench(program);
    bench.board.supply(true);
    bench.board.run(20);
    t.equal(hexOf(bench.said()), `f9 02 05 ${firmware}`, "at the start");
    t.equal(bench.ask(bytesOf("f9")), "f9 02 05");
    t.equal(bench.ask(bytesOf("f0 79 f7")), firmware);
    t.equal(bench.ask(bytesOf("f0 6b f7"), 30), ["f0 6c", none, none, input, input, none, none, none, none, output, output, none, none, output, output, none, none, none, none, bus, bus, "f7"].join(" "));
    t.equal(bench.ask(bytesOf("f0 69 f7")), ["f0 6a", ...Array<string>(20).fill(none), "f7"].join(" "));
    t.equal(bench.ask(bytesOf("f4 02 0b f0 7a 64 00 f7 f0 71 48 00 f7 c0 01 e3 01 01")), "", "modes, sampling, texts and analog pins are heard and have no effect");
  });

  void t.test("inputs: settled for 20 ms, told to whoever asked, each by itself", async (t) => {
    const bench = new Bench(program).started();
    t.equal(bench.ask(bytesOf("d0 01")), "90 08 00", "the lid is closed (low), the button is not pressed (high)");
    bench.board.press(true);
    bench.board.run(15);
    t.equal(hexOf(bench.said()), "", "not yet");
    bench.board.run(40);
    t.match(hexOf(bench.said()), /^f0 0a 01 00 02 .* f7 90 00 00$/, "our own report first, then Firmata's");
    for (let n = 0; n < 40; n++) {
      bench.board.press(n % 2 === 0);
      if (n === 5) bench.board.openLid(true);
      bench.board.run(5);
    }
    bench.board.press(true);
    t.match(bench.report(), { open: true, latched: true, pressed: true }, "a button that bounces hides no lid");
    bench.board.openLid(false);
    bench.board.run(60);
    bench.said();
    bench.board.openLid(true);
    bench.board.run(10);
    bench.board.openLid(false);
    bench.board.run(60);
    t.equal(hexOf(bench.said()), "", "10 ms are a bounce");
    bench.ask(bytesOf("ff"));
    bench.board.press(false);
    bench.board.run(60);
    t.notMatch(hexOf(bench.said()), /90/, "after a reset nobody has asked");
  });

  void t.test("outputs: light and buzzer, and nothing else", async (t) => {
    const { board } = new Bench(program).started();
    const say = (hex: string): void => { board.receive(bytesOf(hex)); board.run(5); };
    const seen = (): string => `${board.light} ${board.buzzer ? "loud" : "quiet"}`;
    t.equal(seen(), "off quiet");
    say("91 01 00");
    t.equal(seen(), "red quiet");
    say("91 33 00");
    t.equal(seen(), "white loud");
    say("f5 08 00 f5 0c 00 f5 09 00");
    t.equal(seen(), "blue quiet");
    say("ff");
    t.equal(seen(), "off quiet");
    const bench = new Bench(program).started();
    bench.ask(bytesOf("f4 02 01 f5 02 00 90 7b 00"));
    bench.board.openLid(true);
    bench.board.run(60);
    t.match(bench.report(), { open: true, latched: true }, "a host cannot turn the lid's input into an output");
  });

  void t.test("our sysex: whole and with the right sum, or not heard", async (t) => {
    const bench = new Bench(program).started();
    t.match(bench.report(), { answer: 1, open: false, pressed: false, latched: false, damaged: false, counter: 1, starts: 1, seen: 0, kept: 0, serial: null });
    for (const bad of ["f0 0a 00 01 f7", "f0 0a 00 f7", "f0 0a f7", "f0 f7", "f0 0a 00 00 00 f7", "f0 0a 05 05 f7", "f0 0a 02 01 00 00 00 00 04 f7", "f0 0a 02 01 00 00 00 03 f7"]) {
      t.equal(bench.ask(bytesOf(bad)), "", bad);
    }
    t.equal(bench.ask(Uint8Array.of(0xf0, 0x0a, ...new Array<number>(100).fill(0), 0xf7)), "", "longer than any");
    t.match(bench.report(Uint8Array.of(...query.subarray(0, 3), ...query)), { answer: 1 }, "a half one before it");
    t.match(bench.report(Uint8Array.of(0x90, 0x01, ...query)), { answer: 1 });
    t.match(bench.report(Uint8Array.of(1, 2, 3, 0xf7, ...query)), { answer: 1 });
    t.equal(bench.ask(Uint8Array.of(...query.subarray(0, 4), 0xf9, 0xf7)), "f9 02 05", "a command inside ends it");
  });

  void t.test("the serial id is set once", async (t) => {
    const bench = new Bench(program).started();
    t.match(bench.report(sysex(3, ...[1, 2, 3, 4, 5, 6, 7, 0xff].flatMap((byte) => [byte & 0x7f, byte >> 7])), 80), { answer: 5, serial: "01 02 03 04 05 06 07 ff" });
    t.match(bench.report(sysex(3, ...new Array<number>(16).fill(0))), { answer: 6, serial: "01 02 03 04 05 06 07 ff" });
    bench.board.reset();
    bench.board.run(120);
    t.match(bench.report(), { serial: "01 02 03 04 05 06 07 ff" });
  });

  void t.test("the display's bus: what is there answers, what is not stops nothing", async (t) => {
    const bench = new Bench(program, { display: true }).started();
    bench.ask(bytesOf("f0 78 00 00 f7"));
    t.equal(bench.ask(bytesOf("f0 76 27 00 08 00 f7")), "");
    t.equal(bench.ask(bytesOf("f0 76 27 08 01 00 f7")), "f0 77 27 00 00 00 08 00 f7", "the expander gives back its wires");
    t.equal(bench.ask(bytesOf("f0 76 3f 08 01 00 f7")), "", "nobody");
    t.equal(bench.ask(bytesOf("f0 76 3f 00 08 00 f7")), "");
    t.equal(bench.ask(bytesOf("f0 76 27 08 00 00 f7 f0 76 27 08 7f 00 f7 f0 76 27 10 01 00 f7 f0 76 27 f7")), "", "none, too many, again and again, no mode");
    t.equal(bench.ask(bytesOf("f0 76 27 08 02 00 f7")), "f0 77 27 00 00 00 08 00 08 00 f7");
    t.match(bench.report(), { answer: 1 });
  });

  void t.test("anything at all on the line: it still answers, and no bytes but the right ones clear or set", async (t) => {
    fc.assert(fc.property(fc.uint8Array({ minLength: 1, maxLength: 150 }), (noise) => {
      const bench = new Bench(program).started();
      bench.opening();
      bench.board.receive(noise);
      bench.board.run(noise.length * 0.2 + 20);
      bench.board.receive(Uint8Array.of(0xf7));
      bench.board.run(2);
      const { latched, counter, serial } = bench.report();
      return latched && counter === 2 && serial === null;
    }), { numRuns: 15 });
    t.pass("noise");
    const bench = new Bench(program).started();
    bench.opening();
    t.match(bench.report(clear(2)), { answer: 2, latched: false });
  });
}

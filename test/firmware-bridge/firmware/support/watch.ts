import type { Test } from "tap";
import { Eeprom } from "../../../../firmware-bridge/emulators/panel/eeprom.ts";
import { Bench, bytesOf, clear, query } from "./bench.ts";

const recordsAt = 0x20;
const recordBytes = 16;

function copyOf(eeprom: Eeprom): Eeprom {
  const copy = new Eeprom();
  copy.bytes.set(eeprom.bytes);
  return copy;
}

/** What makes it a panel for security: latch, memory, coin cell, dead man's light. */
export function watch(t: Test, program: Uint16Array): void {
  void t.test("an opening is latched, and only the clear that names it takes it back", async (t) => {
    const bench = new Bench(program).started();
    t.match(bench.report(clear(1)), { answer: 2, counter: 2, seen: 1 }, "a start is an event too, and is acknowledged alike");
    bench.opening();
    t.match(bench.report(), { open: false, latched: true, counter: 3 });
    t.match(bench.report(clear(2)), { answer: 3, latched: true, counter: 3 }, "stale");
    t.match(bench.report(clear(4)), { answer: 3, latched: true }, "too early");
    bench.opening();
    t.match(bench.report(clear(3)), { answer: 3, latched: true, counter: 4 }, "opened again since");
    bench.board.openLid(true);
    bench.board.run(60);
    t.match(bench.report(clear(5)), { answer: 4, open: true, latched: true, counter: 5 }, "open still");
    bench.board.openLid(false);
    bench.board.run(60);
    t.match(bench.report(clear(5)), { answer: 2, latched: false, counter: 6 });
    bench.opening();
    t.match(bench.report(clear(5)), { answer: 3, latched: true, counter: 7 }, "repeated");
  });

  void t.test("power that fails: what was latched stays, and every start is told until it is acknowledged", async (t) => {
    const bench = new Bench(program).started();
    bench.report(clear(1));
    bench.opening();
    bench.board.supply(false);
    bench.board.supply(true);
    bench.board.run(120);
    t.match(bench.report(), { latched: true, open: false, counter: 4, starts: 2, seen: 1, kept: 0, seconds: 0 }, "unwatched between start 1 and start 2");
    t.match(bench.report(clear(3)), { answer: 3 }, "named before the power failed");
    bench.board.reset();
    bench.board.run(120);
    t.match(bench.report(), { latched: true, counter: 5, starts: 3, seen: 1 }, "a brown-out is a start");
    t.match(bench.report(clear(5)), { answer: 2, latched: false, starts: 3, seen: 3 });
    bench.board.cut();
    bench.board.openLid(true);
    bench.board.supply(true);
    bench.board.run(120);
    t.match(bench.report(), { latched: true, open: true, starts: 4 }, "open when it starts");
  });

  void t.test("power that fails while it writes: the old record or the new one, never less", async (t) => {
    const bench = new Bench(program).started();
    bench.report(clear(1));
    bench.board.run(100);
    bench.board.openLid(true);
    const found = new Set<string>();
    for (let ms = 0; ms < 110; ms += 3) {
      bench.board.run(3);
      const after = new Bench(program, { eeprom: copyOf(bench.eeprom) }).started();
      const { latched, damaged, counter, starts, seen } = after.report();
      found.add(JSON.stringify({ latched, damaged, counter, starts, seen }));
    }
    t.same([...found], [
      JSON.stringify({ latched: false, damaged: false, counter: 3, starts: 2, seen: 1 }),
      JSON.stringify({ latched: true, damaged: false, counter: 4, starts: 2, seen: 1 }),
    ]);
  });

  void t.test("the ring of records goes round, and spoilt records are no fresh start", async (t) => {
    const bench = new Bench(program).started();
    for (let n = 0; n < 18; n++) bench.opening();
    t.match(bench.report(), { counter: 19, latched: true });
    bench.board.reset();
    bench.board.run(120);
    t.match(bench.report(), { counter: 20, starts: 2, latched: true, damaged: false });
    const { bytes } = bench.eeprom;
    for (let slot = 0; slot < 16; slot++) bytes[recordsAt + slot * recordBytes + 3] = 0x55;
    bench.board.reset();
    bench.board.run(120);
    t.match(bench.report(), { latched: true, damaged: true, counter: 1, starts: 1, seen: 0 });
    t.match(bench.report(clear(1)), { latched: false, damaged: false });
    bytes.fill(0xff);
    bench.board.reset();
    bench.board.run(120);
    t.match(bench.report(), { latched: false, damaged: false, counter: 1, starts: 1 }, "a new chip");
    bytes.fill(0x00);
    bench.board.reset();
    bench.board.run(120);
    t.match(bench.report(), { latched: true, damaged: true, serial: null });
  });

  void t.test("on the coin cell it sleeps dark, wakes for the lid, and was never unwatched", async (t) => {
    const bench = new Bench(program, { cell: true }).started();
    bench.report(clear(1));
    bench.ask(bytesOf("91 30 00"));
    t.equal(bench.board.light, "cyan");
    bench.board.supply(false);
    bench.board.run(200);
    t.ok(bench.board.asleep);
    t.equal(bench.board.light, "off");
    t.equal(bench.ask(query), "", "the line is off");
    bench.board.openLid(true);
    bench.board.run(8);
    bench.board.openLid(false);
    bench.board.run(100);
    t.ok(bench.board.asleep, "a bounce wakes it and is forgotten");
    bench.board.openLid(true);
    bench.board.run(150);
    t.ok(bench.board.asleep, "asleep again with the lid open");
    bench.board.openLid(false);
    bench.board.run(5000);
    bench.said();
    bench.board.supply(true);
    bench.board.run(100);
    t.notOk(bench.board.asleep);
    const said = bench.said();
    t.same(said.slice(0, 3), [0xf9, 2, 5], "it greets the host anew");
    t.match(bench.report(), { latched: true, open: false, counter: 3, starts: 1, seen: 1, kept: 1 });
    bench.board.cell = false;
    bench.board.supply(false);
    bench.board.supply(true);
    bench.board.run(120);
    t.match(bench.report(), { latched: true, starts: 2, seen: 1, kept: 0 }, "without the cell it was");
  });

  void t.test("the dead man's light: two red flashes every two seconds instead of what a silent host last showed", async (t) => {
    const bench = new Bench(program).started();
    const flashes = (ms: number): { colours: string[]; flashes: number; loud: boolean } => {
      const colours = new Set<string>();
      let count = 0;
      let lit = false;
      let loud = false;
      for (let n = 0; n < ms; n += 8) {
        bench.board.run(8);
        colours.add(bench.board.light);
        if (bench.board.light === "red" && !lit) count += 1;
        lit = bench.board.light === "red";
        loud ||= bench.board.buzzer;
      }
      return { colours: [...colours].sort(), flashes: count, loud };
    };
    bench.report();
    bench.ask(bytesOf("91 12 00"));
    bench.board.run(9000);
    bench.ask(bytesOf("f9"));
    t.same(flashes(800), { colours: ["green"], flashes: 0, loud: true }, "not yet");
    bench.board.run(400);
    t.same(flashes(4096), { colours: ["off", "red"], flashes: 4, loud: false }, "Firmata alone is no sign of life");
    bench.report();
    bench.board.run(5);
    t.equal(bench.board.light, "green", "back: what the host had shown");
    t.ok(bench.board.buzzer);
  });
}

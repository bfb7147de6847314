import t from "tap";
import { sleep, systemClock } from "../../../agent/runtime/clock.ts";
import { bytesOf, hexOf } from "../firmware/support/bench.ts";
import type { PanelFacts } from "../../../firmware-bridge/panel/status.ts";

// As a careless environment would have it: johnny-five must not see it.
process.env["IS_TEST_MODE"] = "1";
const { PanelDesk, until } = await import("./support/desk.ts");
const { shownAs } = await import("../../../firmware-bridge/panel/board.ts");
const { default: five } = await import("johnny-five");

void t.test("what it says of itself; its serial id is given once", async (t) => {
  const desk = new PanelDesk(t);
  const panel = await desk.panel();
  t.same(panel.facts, {
    firmware: "shardkeep-panel 1.0", latch: true, serial: "abababababababab", display: false, button: false,
    tamper: { open: false, latched: false, damaged: false, counter: 1, unwatched: { from: 0, to: 1 } },
  });
  await panel.line.close();
  desk.heard = [];
  await desk.panel();
  t.notMatch(hexOf(desk.heard), /0a 03/, "it has one now");
});

void t.test("traps of johnny-five: signals, standard input, test mode, boards that were", async (t) => {
  const signals = process.listenerCount("SIGINT");
  const desk = new PanelDesk(t);
  const first = await desk.panel();
  t.equal(process.listenerCount("SIGINT"), signals, "sigint: false");
  t.equal(process.stdin.listenerCount("data"), 0, "repl: false");
  t.notOk("purge" in five.Board, "not in its test mode");
  await first.line.close();
  const second = await desk.panel();
  t.equal(five.Board.cache.length, 1, "the dead one is not the first of two");
  desk.heard = [];
  first.show("tamper");
  second.show("ready");
  await until(() => desk.board.light === "green");
  t.notOk(desk.board.buzzer, "the first has nothing to say any more");
});

void t.test("own last state: the button moves no lid, and nothing is told twice", async (t) => {
  const desk = new PanelDesk(t);
  const panel = await desk.panel();
  await panel.clearTamper(1);
  const told: PanelFacts[] = [];
  panel.onChange(() => { if (JSON.stringify(panel.facts) !== JSON.stringify(told.at(-1))) told.push(panel.facts); });
  desk.board.press(true);
  await until(() => told.at(-1)?.button === true);
  desk.board.press(false);
  await until(() => told.at(-1)?.button === false);
  t.ok(told.every(({ tamper }) => !tamper.open && !tamper.latched && tamper.counter === 2 && tamper.unwatched === null));
  desk.board.openLid(true);
  await until(() => panel.facts.tamper.open && panel.facts.tamper.latched);
  await t.rejects(panel.clearTamper(3), { code: "LID_OPEN" });
  desk.board.openLid(false);
  await until(() => !panel.facts.tamper.open);
  await t.rejects(panel.clearTamper(2), { code: "TAMPER_STALE" });
  t.match(panel.facts.tamper, { latched: true, counter: 3 });
  await panel.clearTamper(3);
  t.match(panel.facts.tamper, { latched: false, counter: 4 });
});

void t.test("opened while nobody was there", async (t) => {
  const desk = new PanelDesk(t);
  await (await desk.panel()).line.close();
  desk.board.openLid(true);
  await sleep(systemClock, 50);
  desk.board.openLid(false);
  await sleep(systemClock, 50);
  t.match((await desk.panel()).facts.tamper, { open: false, latched: true, counter: 2 });
});

void t.test("light, buzzer, and a panel that forgot them", async (t) => {
  const desk = new PanelDesk(t);
  const panel = await desk.panel();
  for (const [state, colour] of [["ready", "green"], ["degraded", "yellow"], ["waiting-for-finger", "blue"], ["identify", "white"], ["tamper", "red"]] as const) {
    panel.show(state);
    await until(() => desk.board.light === colour);
  }
  await until(() => desk.board.buzzer);
  panel.show("ready");
  await until(() => !desk.board.buzzer && desk.board.light === "green");
  desk.board.receive(bytesOf("ff"));
  await until(() => desk.board.light === "off");
  await until(() => desk.board.light === "green");
  desk.board.openLid(true);
  await until(() => panel.facts.tamper.open);
  t.pass("asked for its inputs again, too");
});

void t.test("the display", async (t) => {
  const desk = new PanelDesk(t, { display: true });
  const panel = await desk.panel();
  t.equal(panel.facts.display, true);
  panel.print(["decrypt :heart:", "code 1234"]);
  await until(() => desk.board.lines?.[1] === "code 1234");
  t.equal(desk.board.lines?.[0], "decrypt :heart:");
  panel.print(["x"]);
  await until(() => desk.board.lines?.[0] === "x" && desk.board.lines[1] === "");
  t.equal(shownAs("Zürich ~ a\\b, a long name"), "Z?rich ? a?b, a ");
  t.equal(shownAs("€\u0007"), "??              ");
  const without = new PanelDesk(t);
  const dark = await without.panel();
  t.throws(() => { dark.print(["x"]); }, { code: "PANEL_NO_DISPLAY" });
});

void t.test("no panel: silent, noisy, hostile; none of it ends the process", async (t) => {
  const desk = new PanelDesk(t);
  t.equal(await desk.opened(new Uint8Array(0)), undefined, "silent");
  t.equal(await desk.opened(bytesOf("55 ef 01 ff ff ff ff 07 00 03 00 00 0a")), undefined, "a fingerprint sensor");
  t.equal(await desk.opened(bytesOf("f9 02 05 f0 79 f7")), undefined, "a firmware without a name, at which firmata-io throws");
  t.equal(await desk.opened(bytesOf("f9 02 05 f0 79 02 05 41 00 f7 f0 6a 7f f7")), undefined, "channels of pins that are not there");
  for (const bytes of [bytesOf("f0 6e 7f 00 00 f7"), Uint8Array.of(0xf0, ...new Uint8Array(2000))]) {
    const panel = await new PanelDesk(t).panel();
    const other = new PanelDesk(t);
    const line = other.line();
    const spoilt = await other.panel(line);
    other.noise(bytes);
    await line.closed;
    t.doesNotThrow(() => { spoilt.show("ready"); });
    await panel.line.close();
  }
});

void t.test("a panel that starts anew, or falls silent, ends its line", async (t) => {
  const desk = new PanelDesk(t);
  const panel = await desk.panel();
  desk.board.reset();
  await panel.line.closed;
  const next = await desk.panel();
  t.match(next.facts.tamper, { unwatched: { from: 0, to: 2 } });
  desk.mute();
  const clearing = t.rejects(next.clearTamper(2), { code: "PANEL_SILENT", retryable: true });
  await next.line.closed;
  await clearing;
});

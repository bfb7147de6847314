import t from "tap";
import { consoleDisplay, type ShownRequest } from "../../agent/box/display.ts";
import { BoxPanel, displayLines, lastingState } from "../../agent/box/panel.ts";
import { boxHeartbeat } from "../../agent/protocol/heartbeat.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { ShardkeepError } from "../../agent/runtime/errors.ts";
import type { PanelBridge, PanelStatus } from "../../firmware-bridge/client.ts";

const tamper = { open: false, latched: false, damaged: false, counter: 2, unwatched: null };
const ready: PanelStatus = { state: "ready", emulated: false, latch: true, display: true, tamper, button: false, firmware: "shardkeep-panel 1.0", serial: "00" };
const request: ShownRequest = { by: "client-1", operation: "decrypt", resource: "payroll/2026", words: ["cli asks to decrypt payroll/march with key payroll"], reason: "why not", code: "4711" };

/** A panel that keeps what it is told, and a clock that fires at once when it is told to. */
function bench() {
  const shown: string[] = [];
  const printed: (readonly string[])[] = [];
  const warned: string[] = [];
  let timers: (() => void)[] = [];
  let broken = false;
  const bridge: PanelBridge = {
    panel: () => Promise.resolve(ready),
    show: ({ state }) => {
      if (broken) return Promise.reject(new ShardkeepError("PROCESS_ENDED", "gone"));
      shown.push(state);
      return Promise.resolve();
    },
    print: ({ lines }) => { printed.push(lines); return Promise.resolve(); },
    clearTamper: () => Promise.resolve(ready),
  };
  const clock = { now: () => 0, wall: () => "", after: (_ms: number, task: () => void) => { timers.push(task); return () => { timers = timers.filter((one) => one !== task); }; } };
  return {
    panel: new BoxPanel(bridge, clock, { ...silentLog, warn: (event) => { warned.push(event); } }, "report"), shown, printed, warned, breaks: (now: boolean) => { broken = now; },
    /** How many were due. */
    pass: () => { const due = timers.splice(0); for (const task of due) task(); return due.length; },
  };
}

void t.test("how the box is: the gravest first", async (t) => {
  const fine = { well: true, coordinator: true, locked: false };
  const bad = { well: false, coordinator: false, locked: false };
  t.equal(lastingState(ready, fine, false), "ready");
  t.equal(lastingState(ready, fine, true), "re-sharding");
  t.equal(lastingState({ state: "absent" }, fine, true), "degraded", "a panel that is away is a part that is missing");
  t.equal(lastingState({ state: "fault" }, fine, false), "degraded");
  t.equal(lastingState(ready, { ...fine, well: false }, true), "degraded", "what is amiss outweighs what goes on");
  t.equal(lastingState(ready, bad, true), "no-coordinator");
  t.equal(lastingState({ ...ready, tamper: { ...tamper, open: true } }, fine, true), "tamper");
  t.equal(lastingState(ready, { ...fine, locked: true }, false), "tamper", "also where the board has forgotten it");
  t.equal(lastingState({ state: "absent" }, { ...fine, locked: true }, false), "tamper", "or is away");
  t.equal(lastingState({ ...ready, tamper: { ...tamper, latched: true } }, bad, false), "tamper");
});

void t.test("identify: for its time, anew at every call; a prompt and an opened case outweigh it", async (t) => {
  const { panel, shown, pass } = bench();
  panel.heard(ready);
  panel.is({ well: false, coordinator: false, locked: false });
  panel.reshards(true);
  shown.length = 0;
  t.equal(panel.identify(1000), "identify");
  panel.tell("waiting-for-finger");
  t.equal(panel.identify(1000), "waiting-for-finger");
  panel.tell(undefined);
  t.same(shown.splice(0), ["identify", "waiting-for-finger", "identify"]);
  t.equal(pass(), 1, "one end, not two");
  t.same(shown.splice(0), ["no-coordinator"]);
  panel.heard({ ...ready, tamper: { ...tamper, open: true, latched: true } });
  t.equal(panel.identify(1000), "tamper");
  t.same(shown, ["tamper"], "never hidden");
});

void t.test("what a person is told passes; what the box is comes back, once", async (t) => {
  const { panel, shown, pass, breaks } = bench();
  panel.heard(ready);
  t.same(shown.splice(0), ["no-coordinator"]);
  panel.is({ well: true, coordinator: true, locked: false });
  panel.is({ well: true, coordinator: true, locked: false });
  panel.tell("waiting-for-finger");
  pass();
  panel.is({ well: false, coordinator: true, locked: false });
  t.same(shown.splice(0), ["ready", "waiting-for-finger"], "a prompt stays until its end");
  panel.tell("refused");
  panel.tell("waiting-for-finger");
  pass();
  t.same(shown.splice(0), ["refused", "waiting-for-finger"], "a touch that was refused does not end it");
  panel.tell("accepted");
  pass();
  panel.heard({ ...ready, tamper: { ...tamper, latched: true } });
  t.same(shown.splice(0), ["accepted", "degraded", "tamper"]);
  breaks(true);
  panel.heard(ready);
  await Promise.resolve();
  breaks(false);
  await new Promise(setImmediate);
  panel.heard(ready);
  t.same(shown, ["degraded"], "said again after it was lost");
});

void t.test("the display: the panel's where there is one, else the console", async (t) => {
  const { panel, printed } = bench();
  const console: string[] = [];
  const display = panel.display(consoleDisplay((line) => { console.push(line); }));
  display.show(request);
  t.equal(display.kind, "console");
  t.same([printed.length, console.length], [0, 3]);
  panel.heard(ready);
  t.equal(display.kind, "lcd");
  display.show(request);
  display.clear();
  t.same(printed, [["decrypt payroll>", "4711 client-1"], []]);
  t.equal(console.length, 7, "and the console beside it");
  panel.heard({ ...ready, display: false });
  t.equal(display.kind, "console");
  panel.heard({ state: "absent", emulated: false });
  t.equal(display.kind, "console");
  t.same(displayLines({ ...request, by: "a-client-with-a-long-name", resource: "a" }), ["decrypt a", "4711 a-client-w>"]);
});

void t.test("its claims are what a heartbeat may carry", async (t) => {
  const { panel } = bench();
  t.same(boxHeartbeat.shape.panel.parse(panel.claims), { state: "absent", emulated: false });
  panel.heard(ready);
  t.same(boxHeartbeat.shape.panel.parse(panel.claims), { state: "ready", emulated: false, latch: true, display: true, tamper });
  t.notOk(boxHeartbeat.shape.panel.safeParse({ ...panel.claims, tamper: { ...tamper, counter: -1 } }).success);
});

void t.test("a time in which nobody watched the lid is told once", async (t) => {
  const { panel, warned } = bench();
  const unwatched = { ...ready, tamper: { ...tamper, unwatched: { from: 0, to: 1 } } };
  panel.heard(unwatched);
  panel.heard({ ...unwatched, button: true });
  t.same(warned, ["lid unwatched"]);
  panel.heard({ ...ready, tamper: { ...tamper, unwatched: { from: 0, to: 2 } } });
  t.equal(warned.length, 2, "but another is another");
});

void t.test("the first word: a box waits for it, but not for ever", async (t) => {
  const { panel, pass } = bench();
  let heard = 0;
  void panel.firstWord(8000).then(() => { heard += 1; });
  panel.heard({ state: "absent", emulated: false });
  await Promise.resolve();
  t.same([heard, panel.lid], [0, undefined]);
  panel.heard(ready);
  await Promise.resolve();
  t.same([heard, panel.lid], [1, { open: false, cause: null, counter: 2, marked: false }]);
  await panel.firstWord(8000);
  const { panel: none, pass: over } = bench();
  const waiting = none.firstWord(8000);
  over();
  await waiting;
  pass();
  t.equal(heard, 1);
});

import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readlinkSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import t from "tap";
import { root } from "#paths";
import { PanelControl, type PanelState } from "../../../../firmware-bridge/emulators/panel/control.ts";
import { bytesOf, clear, hexOf, query } from "../../firmware/support/bench.ts";
import { Port } from "../support/port.ts";

const entry = `${root}dist/firmware-bridge/emulators/main.js`;
const folder = mkdtempSync(join(tmpdir(), "shardkeep-panel-"));
const link = join(folder, "panel");
const socket = join(folder, "control");
const env = { ...process.env, NODE_OPTIONS: "" };
const args = ["panel", "--link", link, "--control", socket, "--state", join(folder, "eeprom")];
t.teardown(() => { rmSync(folder, { recursive: true }); });

async function start(...more: readonly string[]): Promise<{ child: ChildProcess; banner: Promise<string>; control: PanelControl }> {
  const child = spawn(process.execPath, [entry, ...args, ...more], { env, stdio: ["ignore", "pipe", "pipe"] });
  const banner = text(child.stderr);
  await once(createInterface({ input: child.stdout }), "line");
  return { child, banner, control: await PanelControl.connect(socket) };
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const ended = once(child, "exit");
  child.kill(signal);
  await ended;
}

async function until(control: PanelControl, fits: (state: PanelState) => boolean): Promise<PanelState> {
  for (;;) {
    const state = await control.state();
    if (fits(state)) return state;
    await pause(10);
  }
}

/** In a report: flags, then the counter and the starts, each below 128. */
const report = (flags: string, counter: number, starts: number): RegExp => new RegExp(`f0 0a 01 .. ${flags} ${hexOf([counter])} 00 00 00 00 ${hexOf([starts])} 00`, "i");

/** No report stands where one should, wherever in it the bytes were lost. */
const torn = /(?:^|F7 )(?!F0 (?:(?!F[07]).. ){36}F7)(?:.. ){37}/i;

void t.test("a panel on a serial line of its own", async (t) => {
  const { child, banner, control } = await start("--cell");
  t.equal(readlinkSync(link).startsWith("/dev/pts/"), true);
  t.equal(statSync(socket).mode & 0o777, 0o600);
  const port = await Port.open(link);
  await port.until(query, report("00", 1, 1));
  await port.until(clear(1), report("00", 2, 1));
  await control.button("pressed");
  await port.until(query, report("02", 2, 1));
  await control.button("released");
  await control.lid("open");
  await port.until(query, report("05", 3, 1));
  await control.lid("closed");
  port.write(bytesOf("91 33 00"));
  t.match(await until(control, ({ light }) => light === "white"), { plugged: true, powered: true, lid: "closed", button: "released", buzzer: true, display: null });
  await control.noise("panel", bytesOf("ff"));
  t.match(await until(control, ({ light }) => light === "off"), { shown: [{ light: "off" }, { light: "white", buzzer: true }, { light: "off", buzzer: false }] }, "a reset out of nowhere");
  const heard = port.until(query, /01 02 03/);
  await control.noise("host", bytesOf("01 02 03"));
  await heard;
  await control.lose("host", 10);
  await port.until(query, torn);
  await control.lose("panel", 1);
  await port.until(query, report("04", 3, 1));
  await control.reset();
  await port.until(query, report("04", 4, 2));

  await pause(100);
  await control.unplug();
  t.match(await port.closed, { disconnected: true }, "a hang-up");
  t.notOk(existsSync(link));
  await until(control, ({ asleep }) => asleep);
  await t.rejects(control.noise("host", bytesOf("00")), { code: "NOT_PLUGGED" });
  await control.lid("open");
  await pause(150);
  await control.lid("closed");
  await control.replug();
  const again = await Port.open(link);
  await again.until(query, report("04", 5, 2));
  await again.close();
  await control.cell("off");
  await control.cut();
  t.match(await control.state(), { plugged: false, powered: false, asleep: false, light: "off", cell: false });
  await control.replug();
  await until(control, ({ powered }) => powered);
  control.close();
  await pause(150);
  await stop(child, "SIGKILL");
  t.match(await banner, /^EMULATED panel: no real lid is watched$/m);

  const next = await start("--no-display");
  const line = await Port.open(link);
  await line.until(query, report("04", 7, 4));
  await line.close();
  next.control.close();
  await stop(next.child, "SIGTERM");
  t.notOk(existsSync(link) || existsSync(socket), "nothing is left but the EEPROM");
});

void t.test("at the shell", async (t) => {
  const shell = (...words: readonly string[]): Promise<{ code: unknown; out: string; err: string }> => new Promise((resolve) => {
    execFile(process.execPath, [entry, ...words], { env }, (error, out, err) => { resolve({ code: error?.code ?? 0, out, err }); });
  });
  const { child, control } = await start();
  t.match(await shell("lid", socket, "open"), { code: 0, out: "{\"ok\":true}\n" });
  t.match(JSON.parse((await shell("state", socket)).out), { ok: true, state: { lid: "open" } });
  t.match(await shell("noise", socket, "panel", "bytes=1,2"), { code: 0 });
  t.match(await shell("lid", socket, "ajar"), { code: 64, err: /^USAGE/ });
  t.match(await shell("touch", socket, "alice"), { code: 1, err: /CONTROL_BAD_REQUEST/ }, "a panel has no finger");
  control.close();
  await stop(child, "SIGTERM");
  t.match(await shell("panel", "--link", link), { code: 64, err: /^USAGE/ });
  t.match(await shell("panel", "--link", link, "--control", socket, "--hex", entry), { code: 1, err: /^FIRMWARE_DAMAGED/m });
});

import { execFile, fork, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readlinkSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import t from "tap";
import { root } from "#paths";
import { SensorControl } from "../../../firmware-bridge/emulators/control.ts";
import { bytesOf, command } from "./support/desk.ts";
import { Port } from "./support/port.ts";

const entry = `${root}dist/firmware-bridge/emulators/main.js`;
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => name !== "NODE_OPTIONS"));
const handShake = bytesOf("EF 01 FF FF FF FF 01 00 03 40 00 44");
const ok = "EF 01 FF FF FF FF 07 00 03 00 00 0A";
const folder = mkdtempSync(join(tmpdir(), "shardkeep-emulator-"));
t.teardown(() => { rmSync(folder, { recursive: true }); });
const [link, socket, state] = ["tty", "control", "flash"].map((name) => join(folder, name)) as [string, string, string];
const args = ["sensor", "--link", link, "--control", socket, "--state", state, "--speed", "20"];

async function start(): Promise<{ child: ChildProcess; ready: unknown; banner: Promise<string> }> {
  const child = spawn(process.execPath, [entry, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  const banner = text(child.stderr);
  const [line] = await once(createInterface({ input: child.stdout }), "line") as [string];
  return { child, ready: JSON.parse(line), banner };
}

async function stop(child: ChildProcess): Promise<void> {
  child.kill("SIGTERM");
  await once(child, "exit");
}

/** A command at the shell: exit code, stdout, stderr. */
function shell(...words: readonly string[]): Promise<{ code: unknown; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [entry, ...words], { env }, (error, out, err) => { resolve({ code: error?.code ?? 0, out, err }); });
  });
}

void t.test("a sensor on a serial line of its own", async (t) => {
  const { child, ready, banner } = await start();
  t.same(ready, { ready: true, pty: readlinkSync(link) });
  t.equal(statSync(socket).mode & 0o777, 0o600);
  const control = await SensorControl.connect(socket);
  const { serial } = await control.state();
  let port = await Port.open(link);
  t.equal(await port.ask(handShake, 12), ok);

  await control.touch("alice");
  for (const content of [[0x01], [0x02, 1], [0x01], [0x02, 2], [0x05], [0x06, 1, 0, 7]]) t.equal(await port.ask(command(...content), 12), ok, String(content));
  await control.press("alice", { forMs: 60_000 });
  t.match(await control.state(), { finger: "alice", templates: 1, powered: true, swapped: false, commands: { "01": 2, "02": 2, "40": 1 } });
  await port.ask(command(0x01), 12);
  await port.ask(command(0x02, 1), 12);
  t.match(await port.ask(command(0x04, 1, 0, 0, 0, 200), 16), /^EF 01 FF FF FF FF 07 00 07 00 00 07 00/);
  while ((await control.state()).finger !== null) await pause(5);
  t.equal((await port.ask(command(0x08, 1), 1680)).length, 3 * 1680 - 1);

  await control.fault("bad-checksum");
  t.equal(await port.ask(handShake, 12), "EF 01 FF FF FF FF 07 00 03 00 00 0B");
  await control.fault("double", { times: 5 });
  t.match(await control.state(), { faults: ["double"] });
  await control.clearFaults();
  t.equal(await port.ask(handShake, 12), ok);

  await control.power("cycle");
  t.equal(await port.ask(new Uint8Array(0), 1), "55");

  // A hang-up that meets a read under way is never told by serialport 13: let it come to rest; else a write tells it.
  await pause(100);
  await control.unplug();
  const hungUp = port.closed.then(() => true);
  while (!await Promise.race([hungUp, pause(1000).then(() => false)])) port.write(handShake);
  t.notOk(existsSync(link));
  t.match(await control.state(), { plugged: false, powered: false });
  await t.rejects(control.power("on"), { code: "CONTROL_BAD_REQUEST" });
  await control.replug();
  port = await Port.open(link);
  while ((await control.state()).commands["40"] === 3) await port.ask(handShake, 0);
  t.match(await control.state(), { plugged: true, powered: true, serial, templates: 1 });

  await control.swap();
  t.match(await control.state(), { swapped: true, templates: 0, serial: /^EMU/ });
  t.not((await control.state()).serial, serial);
  await control.swap();
  t.match(await control.state(), { swapped: false, templates: 1, serial });

  await port.close();
  control.close();
  await stop(child);
  t.notOk(existsSync(link) || existsSync(socket), "nothing is left but the flash");
  t.match(await banner, /^EMULATED fingerprint sensor: no real finger is measured$/m);

  const again = await start();
  const other = await SensorControl.connect(socket);
  t.match(await other.state(), { serial, templates: 1 }, "the flash of the state file");
  other.close();
  await stop(again.child);
});

void t.test("at the shell", async (t) => {
  const { child } = await start();
  t.match(await shell("touch", socket, "alice", "--quality", "50", "--for", "60000"), { code: 0, out: "{\"ok\":true}\n" });
  t.match(JSON.parse((await shell("state", socket)).out), { ok: true, state: { finger: "alice" } });
  t.match(await shell("fault", socket, "stray-bytes", "bytes=0x55,239", "opcode=0x40", "times=2"), { code: 0 });
  t.match(await shell("fault", socket, "stray-bytes"), { code: 64, err: /^USAGE: .*\n.*bytes/ });
  t.match(await shell("power", socket, "up"), { code: 64, err: /usage: main\.js sensor/ });
  t.match(await shell("touch"), { code: 64 });
  await stop(child);
  t.match(await shell("lift", socket), { code: 1, err: /^CONTROL_UNREACHABLE/ });
  t.match(await shell("sensor", "--link", link), { code: 64, err: /^USAGE/ });
  t.match(await shell("sensor", "--link", link, "--control", socket, "--speed", "0"), { code: 64 });
  t.match(await shell("sensor", "--link", link, "--control", socket, "--profile", "r999"), { code: 1, err: /^UNKNOWN_PROFILE.*\n.*r503/m });
  t.match(await shell("sensor", "--colour", "red"), { code: 64 });
  t.notOk(existsSync(link));
});

void t.test("with a parent: says when it is ready, and goes with it", async (t) => {
  const child = fork(entry, args, { env, silent: true });
  t.match(await once(child, "message"), [{ event: "ready" }]);
  t.ok(existsSync(link));
  child.disconnect();
  t.same(await once(child, "exit"), [0, null]);
  t.notOk(existsSync(link) || existsSync(socket));
});

import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { sleep, systemClock } from "../../../agent/runtime/clock.ts";
import { openLine } from "../../../firmware-bridge/serial/connection.ts";
import { resolveDevice } from "../../../firmware-bridge/serial/device.ts";
import { baudRates, discover } from "../../../firmware-bridge/serial/discovery.ts";
import { Pty } from "../support/pty.ts";
import { hex } from "../support/scripted-line.ts";

const failure = (promise: Promise<unknown>): Promise<unknown> => promise.then(() => "resolved", (error: unknown) => error);
const every = Uint8Array.from({ length: 256 }, (_, byte) => byte);

void t.test("all 256 byte values pass both ways", async (t) => {
  const pty = new Pty();
  t.teardown(() => { pty.unplug(); });
  const line = await openLine(resolveDevice(pty.path, true), 57600, systemClock);
  t.equal(line.emulated, true);
  const there: number[] = [];
  const back: number[] = [];
  pty.onData = (bytes) => { there.push(...bytes); if (there.length === 256) pty.say(Uint8Array.from(there)); };
  const echoed = new Promise<void>((resolve) => { line.listen((bytes) => { back.push(...bytes); if (back.length === 256) resolve(); }); });
  await line.write(every);
  await echoed;
  t.equal(hex(Uint8Array.from(back)), hex(every));
  await line.close();
  await line.close();
  await line.closed;
  t.match(await failure(line.write(every)), { code: "SERIAL_LOST" }, "a write after the close is refused, and does not wait for ever");
});

void t.test("the line is exclusive, and free again after the close", async (t) => {
  const pty = new Pty();
  t.teardown(() => { pty.unplug(); });
  const device = resolveDevice(pty.path, true);
  const line = await openLine(device, 57600, systemClock);
  t.match(await failure(openLine(device, 57600, systemClock)), { code: "SERIAL_OPEN_FAILED", retryable: true });
  await line.close();
  await (await openLine(device, 57600, systemClock)).close();
});

void t.test("unplugged: closed resolves, a pending write ends by name", async (t) => {
  const pty = new Pty();
  const line = await openLine(resolveDevice(pty.path, true), 57600, systemClock);
  pty.stall();
  const stuck = failure(line.write(new Uint8Array(200_000)));
  await sleep(systemClock, 50);
  pty.unplug();
  await line.closed;
  t.match(await stuck, { code: "SERIAL_LOST" });
  await line.close();
});

void t.test("a device that takes nothing: SERIAL_WRITE_TIMEOUT, and the line is over", async (t) => {
  const pty = new Pty();
  t.teardown(() => { pty.unplug(); });
  const line = await openLine(resolveDevice(pty.path, true), 57600, systemClock);
  pty.stall();
  t.match(await failure(line.write(new Uint8Array(200_000))), { code: "SERIAL_WRITE_TIMEOUT" });
  await line.closed;
});

void t.test("a pseudo-terminal is emulated and refused unless allowed, also behind links", (t) => {
  const pty = new Pty();
  const folder = mkdtempSync(join(tmpdir(), "shardkeep-serial-"));
  t.teardown(() => { pty.unplug(); rmSync(folder, { recursive: true }); });
  symlinkSync(pty.path, join(folder, "usb-sensor"));
  symlinkSync(join(folder, "usb-sensor"), join(folder, "sensor"));
  for (const path of [pty.path, join(folder, "sensor")]) {
    t.throws(() => resolveDevice(path, false), { code: "EMULATED_REFUSED" });
    t.same(resolveDevice(path, true), { path: pty.path, emulated: true });
  }
  t.same(resolveDevice("/dev/null", false), { path: "/dev/null", emulated: false });
  for (const path of [join(folder, "nothing"), folder]) t.throws(() => resolveDevice(path, true), { code: "SERIAL_OPEN_FAILED" });
  t.end();
});

void t.test("discovery tries every rate, each on a connection of its own, and closes what does not fit", async (t) => {
  const pty = new Pty();
  t.teardown(() => { pty.unplug(); });
  const tried: number[] = [];
  const options = { path: pty.path, setting: "sensor.path", allowEmulated: true, clock: systemClock };
  const found = await discover({ ...options, handshake: (line) => {
    tried.push(line.baudRate);
    return Promise.resolve(line.baudRate === 9600 ? line : undefined);
  } });
  t.same(tried, [57600, 115200, 9600]);
  await found.close();
  tried.length = 0;
  t.match(await failure(discover({ ...options, handshake: (line) => { tried.push(line.baudRate); return Promise.resolve(undefined); } })), { code: "DEVICE_NOT_FOUND" });
  t.same(tried, baudRates);
  t.match(await failure(discover({ ...options, handshake: () => Promise.reject(new Error("broken")) })), { message: "broken" });
  t.match(await failure(discover({ ...options, allowEmulated: false, handshake: (line) => Promise.resolve(line) })), { code: "EMULATED_REFUSED" });
  await (await openLine(resolveDevice(pty.path, true), 57600, systemClock)).close();
});

void t.test("no line opened is left behind when the device is no serial line", async (t) => {
  t.match(await failure(openLine({ path: "/dev/null", emulated: false }, 57600, systemClock)), { code: "SERIAL_OPEN_FAILED" });
});

void t.test("auto looks through the machine's lines", async (t) => {
  const error = await failure(discover({ path: "auto", setting: "sensor.path", allowEmulated: false, clock: systemClock, handshake: () => Promise.resolve(undefined) }));
  t.match(error, { code: "DEVICE_NOT_FOUND" });
});

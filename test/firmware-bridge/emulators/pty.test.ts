import { existsSync, mkdtempSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { SerialPort } from "serialport";
import t from "tap";
import { Pty } from "../../../firmware-bridge/emulators/pty.ts";

const folder = mkdtempSync(join(tmpdir(), "shardkeep-pty-"));
t.teardown(() => { rmSync(folder, { recursive: true }); });

/** The package itself, as a driver would use it; nothing of ours. */
async function open(path: string) {
  const port = new SerialPort({ path, baudRate: 57600, autoOpen: false });
  const read: number[] = [];
  port.on("data", (bytes: Buffer) => { read.push(...bytes); });
  port.on("error", () => undefined);
  await new Promise<void>((resolve, reject) => { port.open((error) => { if (error === null) resolve(); else reject(error); }); });
  return { port, read };
}

async function until(holds: () => boolean): Promise<void> {
  for (let waited = 0; !holds() && waited < 5000; waited += 5) await pause(5);
}

void t.test("all bytes pass both ways, unchanged, also 60 kB at once", async (t) => {
  const heard: number[] = [];
  const pty = new Pty((bytes) => { heard.push(...bytes); });
  t.teardown(() => { pty.unplug(); });
  const { port, read } = await open(pty.path);
  const every = Uint8Array.from({ length: 256 }, (_, n) => n);
  port.write(Buffer.from(every));
  await until(() => heard.length === 256);
  t.same(heard, [...every]);
  const much = Uint8Array.from({ length: 60_000 }, (_, n) => n * 7);
  await pty.write(much);
  await until(() => read.length === much.length);
  t.ok(Buffer.from(read).equals(much));
  port.close();
});

void t.test("the driver may close and open again; what nobody reads is lost, and holds nothing up for ever", async (t) => {
  const pty = new Pty(() => undefined);
  t.teardown(() => { pty.unplug(); });
  const first = await open(pty.path);
  await new Promise<void>((resolve) => { first.port.close(() => { resolve(); }); });
  await pty.write(new Uint8Array(100_000));
  const { port, read } = await open(pty.path);
  await pty.write(Uint8Array.of(1, 2, 3));
  await until(() => read.length === 3);
  t.same(read, [1, 2, 3]);
  port.close();
});

void t.test("unplugging hangs up the driver's port, and the link is gone until it is plugged in again", async (t) => {
  const link = join(folder, "sensor");
  const pty = new Pty(() => undefined, link);
  t.equal(readlinkSync(link), pty.path);
  const { port } = await open(link);
  // serialport 13 reads 0 bytes for ever, and never closes, if a hang-up meets a read under way: let it come to rest.
  await pause(100);
  const hungUp = new Promise<unknown>((resolve) => { port.once("close", resolve); });
  pty.unplug();
  t.match(await hungUp, { disconnected: true });
  t.notOk(existsSync(link));
  pty.unplug();
  await pty.write(Uint8Array.of(1));
  const next = new Pty(() => undefined, link);
  t.equal(readlinkSync(link), next.path);
  const again = new Pty(() => undefined, link);
  t.equal(readlinkSync(link), again.path, "the newest has the link");
  next.unplug();
  again.unplug();
});

void t.test("no link where no folder is", (t) => {
  t.throws(() => new Pty(() => undefined, join(folder, "missing", "sensor")), { code: "PTY_FAILED" });
  t.end();
});

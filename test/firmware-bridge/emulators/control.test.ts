import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { once } from "node:events";
import t from "tap";
import { replySchema, requestSchema, type Reply, type Request } from "../../../firmware-bridge/emulators/control-messages.ts";
import { serveControl } from "../../../firmware-bridge/emulators/control-server.ts";
import { SensorControl } from "../../../firmware-bridge/emulators/control.ts";
import { EmulatorError } from "../../../firmware-bridge/emulators/errors.ts";

const folder = mkdtempSync(join(tmpdir(), "shardkeep-control-"));
const path = join(folder, "socket");
const asked: Request[] = [];
const state = {
  profile: "R503", serial: "EMU00001", plugged: true, powered: true, swapped: false, finger: null, templates: 0, verified: false,
  light: { effect: "off", colour: "white", speed: 0, count: 0 }, commands: { "0f": 2 }, faults: [],
};
await serveControl(path, requestSchema, (request) => {
  asked.push(request);
  if (request.cmd === "unplug") throw new EmulatorError("SLOT_EMPTY", "as an example");
  if (request.cmd === "replug") throw new Error("a path in it: /home");
  return request.cmd === "state" ? { state } : {};
});
t.teardown(() => { rmSync(folder, { recursive: true }); setImmediate(() => process.exit()); });

/** One line, one answer. */
async function raw(line: string): Promise<Reply> {
  const socket = connect(path);
  socket.write(`${line}\n`);
  const [answer] = await once(createInterface({ input: socket }), "line") as [string];
  socket.destroy();
  return replySchema.parse(JSON.parse(answer));
}

void t.test("every method of the control is one request", async (t) => {
  const control = await SensorControl.connect(path);
  asked.length = 0;
  await Promise.all([
    control.touch("alice", { quality: 50, forMs: 10 }), control.press("bob"), control.lift(), control.power("cycle"), control.swap(),
    control.fault("bad-length", { length: 1, times: 3 }), control.fault("double"), control.clearFaults(),
  ]);
  t.same(asked, [
    { cmd: "touch", finger: "alice", quality: 50, forMs: 10 }, { cmd: "press", finger: "bob" }, { cmd: "lift" }, { cmd: "power", to: "cycle" }, { cmd: "swap" },
    { cmd: "fault", fault: { name: "bad-length", length: 1, packet: 0, times: 3 } }, { cmd: "fault", fault: { name: "double" } }, { cmd: "clear-faults" },
  ]);
  t.same(await control.state(), state);
  await t.rejects(control.unplug(), { code: "SLOT_EMPTY", message: "as an example" });
  await t.rejects(control.replug(), { code: "INTERNAL" }, "what is unexpected is not told");
  control.close();
  await t.rejects(control.lift(), { code: "CONTROL_CLOSED" });
});

void t.test("anything else is refused by name, with the field, and nothing is done", async (t) => {
  asked.length = 0;
  for (const [line, field] of [
    ["", "JSON"], ["{", "JSON"], ["null", "object"], ["{}", "cmd"], ["{\"cmd\":\"dance\"}", "cmd"], ["{\"cmd\":\"touch\"}", "finger"], ["{\"cmd\":\"touch\",\"finger\":\"\"}", "finger"],
    ["{\"cmd\":\"touch\",\"finger\":\"a\",\"quality\":101}", "quality"], ["{\"cmd\":\"lift\",\"finger\":\"a\"}", "finger"], ["{\"cmd\":\"power\",\"to\":\"up\"}", "to"],
    ["{\"cmd\":\"press\",\"finger\":\"a\",\"forMs\":0}", "forMs"], ["{\"cmd\":\"fault\",\"name\":\"nonsense\"}", "name"], ["{\"cmd\":\"fault\",\"name\":\"late\"}", "ms"],
  ] as const) {
    const reply = await raw(line);
    t.match(reply, { ok: false, error: "CONTROL_BAD_REQUEST" }, line);
    t.match(reply, { message: new RegExp(field) });
  }
  t.same(asked, []);
  t.ok(requestSchema.safeParse({ cmd: "lift" }).success);
});

void t.test("nobody there, gone before the answer, or no emulator at all", async (t) => {
  await t.rejects(SensorControl.connect(join(folder, "nobody")), { code: "CONTROL_UNREACHABLE", retryable: true });
  for (const [answer, code] of [[null, "CONTROL_CLOSED"], ["hello\n", "CONTROL_BAD_REPLY"], ["{\"ok\":true,\"more\":1}\n", "CONTROL_BAD_REPLY"], ["{\"ok\":true}\n", "CONTROL_BAD_REPLY"]] as const) {
    const other = join(folder, "other");
    const server = createServer((socket) => { socket.once("data", () => { if (answer === null) socket.destroy(); else socket.write(answer); }); }).listen(other);
    await once(server, "listening");
    const control = await SensorControl.connect(other);
    await t.rejects(control.state(), { code }, String(answer));
    control.close();
    server.close();
    await once(server, "close");
  }
});

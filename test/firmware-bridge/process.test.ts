import { mkdtempSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import t from "tap";
import { root } from "#paths";
import { sleep, systemClock } from "../../agent/runtime/clock.ts";
import { isNamed } from "../../agent/runtime/errors.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { BridgeProcess, type BridgeConfig, type EnrolStep, type SensorStatus } from "../../firmware-bridge/client.ts";
import { encodePacket, parse, parserStart } from "../../firmware-bridge/biometrics/fingerprint/packets.ts";
import { Pty } from "./support/pty.ts";
import { ScriptedModule } from "./support/scripted-module.ts";
import { known } from "./support/sensor.ts";

const entry = pathToFileURL(`${root}dist/firmware-bridge/main.js`);
const failure = (promise: Promise<unknown>): Promise<unknown> => promise.then(() => "resolved", (error: unknown) => error);

/** A scripted module at the far end of a pseudo-terminal. */
function moduleOnPty(t: { teardown: (task: () => void) => void }, module = new ScriptedModule()): { module: ScriptedModule; pty: Pty } {
  const pty = new Pty();
  t.teardown(() => { pty.unplug(); });
  let state = parserStart;
  pty.onData = (bytes) => {
    const step = parse(state, bytes);
    state = step.state;
    for (const item of step.heard) if (item.kind === "packet") module.line.script(encodePacket(item.packet), (reply) => { pty.say(reply); });
  };
  return { module, pty };
}

async function bridge(t: { teardown: (task: () => unknown) => void }, path: string, sensor: Partial<BridgeConfig["sensor"]> = {}) {
  const folder = mkdtempSync(join(tmpdir(), "shardkeep-bridge-"));
  const statuses: SensorStatus[] = [];
  const stateFile = join(folder, "pairing");
  const made = new BridgeProcess({ config: { sensor: { path, allowEmulated: true, stateFile, ...sensor } }, log: silentLog, entry, onSensor: (status) => { statuses.push(status); } });
  t.teardown(async () => { await made.stop(); rmSync(folder, { recursive: true }); });
  await made.start();
  return { bridge: made, statuses, stateFile };
}

/** On a busy machine our end of the line may answer too late; whoever asks tries again. */
async function again<T>(ask: () => Promise<T>, tries = 3): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (tries === 1 || !(isNamed(error) && error.retryable)) throw error;
    return await again(ask, tries - 1);
  }
}
const paired = (made: BridgeProcess): Promise<SensorStatus> => again(() => made.pair());

void t.test("the process: pair, enrol, identify, busy, cancel, export, import, remove", async (t) => {
  const { module, pty } = moduleOnPty(t);
  const { bridge: made, statuses, stateFile } = await bridge(t, pty.path);
  t.match(await paired(made), { state: "ready", emulated: true, model: "R503", capacity: 200 });
  t.equal(statSync(stateFile).mode & 0o777, 0o600);
  t.match(statuses.at(-1), { state: "ready" });

  module.presses = Array.from({ length: 5 }, () => ["", "alice"]).flat();
  const steps: EnrolStep[] = [];
  const digestPrefix = new Uint8Array(Buffer.from("prefix"));
  const enrolled = await made.enrol({ digestPrefix, timeoutMs: 10_000 }, (step) => { steps.push(step); });
  t.match(enrolled, { slot: 0, emulated: true });
  t.equal(steps.length, 15);
  const alice = known(0, module.library.get(0)!);
  t.same(enrolled.digest, alice.digest);

  module.presses = ["", "alice"];
  t.match(await made.identify({ prompt: "one", timeoutMs: 10_000, fingers: [alice] }), { outcome: "matched", slot: 0, score: 96, digest: alice.digest });

  const waiting = made.identify({ prompt: "two", timeoutMs: 10_000, fingers: [alice] });
  t.match(await failure(made.identify({ prompt: "three", timeoutMs: 10_000, fingers: [alice] })), { code: "SENSOR_BUSY", retryable: true });
  await made.cancel({ prompt: "two" });
  t.same(await waiting, { outcome: "cancelled" });

  const template = await again(() => made.exportTemplate({ slot: 0 }));
  await again(() => made.importTemplate({ slot: 5, template }));
  t.match(await made.status(), { templates: 2 });
  await again(() => made.remove({ slot: 5 }));
  t.match(await made.status(), { templates: 1 });
  await again(() => made.light({ state: "waiting" }));
  t.equal(module.lights.length, 1);
});

void t.test("unplugged and plugged in again: a new connection, and it serves", async (t) => {
  const { module, pty } = moduleOnPty(t);
  const folder = mkdtempSync(join(tmpdir(), "shardkeep-link-"));
  t.teardown(() => { rmSync(folder, { recursive: true }); });
  const link = join(folder, "sensor");
  symlinkSync(pty.path, link);
  const { bridge: made, statuses } = await bridge(t, link);
  await paired(made);
  const alice = known(0, module.enrolled(0, "alice"));
  const waiting = made.identify({ prompt: "one", timeoutMs: 10_000, fingers: [alice] });
  await sleep(systemClock, 100);
  pty.unplug();
  t.match(await failure(waiting), { code: "SENSOR_ABSENT", retryable: true });
  t.match(await made.status(), { state: "absent" });
  const next = moduleOnPty(t, module);
  rmSync(link);
  symlinkSync(next.pty.path, link);
  while (statuses.at(-1)?.state !== "ready") await sleep(systemClock, 20);
  module.presses = ["", "alice"];
  t.match(await made.identify({ prompt: "two", timeoutMs: 10_000, fingers: [alice] }), { outcome: "matched" });
});

void t.test("an emulated sensor is refused where it is not allowed", async (t) => {
  const { pty } = moduleOnPty(t);
  const { bridge: made } = await bridge(t, pty.path, { allowEmulated: false });
  t.match(await failure(made.pair()), { code: "EMULATED_REFUSED" });
  t.match(await made.status(), { state: "fault", emulated: true });
});

void t.test("a bad configuration ends it", async (t) => {
  const { pty } = moduleOnPty(t);
  const made = new BridgeProcess({ config: { sensor: { path: pty.path, stateFile: "x", securityLevel: 9 } }, log: silentLog, entry });
  t.match(await failure(made.start()), { code: "PROCESS_ENDED", message: /exit 78/ });
  await made.stop();
});

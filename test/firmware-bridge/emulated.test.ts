import { join } from "node:path";
import t from "tap";
import { sleep, systemClock } from "../../agent/runtime/clock.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { BridgeProcess, type EnrolStep, type SensorStatus } from "../../firmware-bridge/client.ts";
import { EmulatorProcess } from "./support/emulator.ts";

/** Two processes and a pseudo-terminal between them: driver and emulator, written apart from the same facts. */
const entry = new URL("../../dist/firmware-bridge/main.js", import.meta.url);
const failure = (promise: Promise<unknown>): Promise<unknown> => promise.then(() => "resolved", (error: unknown) => error);
const digestPrefix = new Uint8Array(Buffer.from("site person finger"));
const timeoutMs = 20_000;

const statuses: SensorStatus[] = [];
const emulator = await EmulatorProcess.start(["--speed", "10"]);
const bridge = new BridgeProcess({
  config: { sensor: { path: emulator.link, allowEmulated: true, stateFile: join(emulator.folder, "pairing") } },
  log: silentLog, entry, onSensor: (status) => { statuses.push(status); },
});
t.teardown(async () => { await bridge.stop(); await emulator.stop(); });
await bridge.start();

const touch = (finger: string): Promise<unknown> => emulator.control({ cmd: "touch", finger });
const lift = (): Promise<unknown> => emulator.control({ cmd: "lift" });
const until = async (wanted: () => boolean): Promise<void> => { while (!wanted()) await sleep(systemClock, 10); };

/** Follows an enrolment's steps with `fingers`, one a capture. */
function hand(fingers: readonly string[]): (step: EnrolStep) => void {
  return ({ step, n }) => {
    if (step === "lift") void lift();
    else if (step === "touch") void touch(fingers[n - 1] ?? "");
  };
}

/** One prompt, and one touch of `finger` a moment after. */
async function identify(fingers: readonly { slot: number; digest: Uint8Array }[], finger: string) {
  await lift();
  const outcome = bridge.identify({ prompt: finger, timeoutMs, fingers: fingers.map((known) => ({ ...known, digestPrefix })) });
  await sleep(systemClock, 250);
  await touch(finger);
  return await outcome.finally(lift);
}

void t.test("driver and emulator agree", async (t) => {
  t.match(await bridge.pair(), { state: "ready", emulated: true, model: /R503/, capacity: 200, templates: 0 });
  const alice = await bridge.enrol({ digestPrefix, timeoutMs }, hand(Array.from({ length: 5 }, () => "alice-index")));
  const bob = await bridge.enrol({ digestPrefix, timeoutMs }, hand(Array.from({ length: 5 }, () => "bob-thumb")));
  t.match([alice, bob], [{ slot: 0 }, { slot: 1 }]);
  const people = [alice, bob].map(({ slot, digest }) => ({ slot, digest }));
  t.match(await bridge.status(), { templates: 2 });

  t.match(await identify(people, "bob-thumb"), { outcome: "matched", slot: 1, digest: bob.digest, emulated: true });
  t.same(await identify(people, "mallory-thumb"), { outcome: "refused", reason: "unknown-finger" });
  t.same(await identify([{ slot: 0, digest: bob.digest }], "alice-index"), { outcome: "refused", reason: "template-changed" });

  await touch("alice-index");
  const resting = bridge.identify({ prompt: "resting", timeoutMs: 1500, fingers: people.map((known) => ({ ...known, digestPrefix })) });
  t.same(await resting, { outcome: "timeout" }, "a finger that lay there already does not count");
  await lift();

  t.match(await failure(bridge.enrol({ digestPrefix, timeoutMs }, hand(["carol", "carol", "carol", "carol", "dave"]))), { code: "ENROL_FAILED" });
  await lift();
  const template = await bridge.exportTemplate({ slot: 0 });
  t.equal(template.length, 1536);
  await bridge.importTemplate({ slot: 9, template });
  t.match(await bridge.status(), { templates: 3 }, "nothing of the failed enrolment is there");
  await bridge.remove({ slot: 9 });
  await bridge.light({ state: "waiting" });
  t.match(await emulator.control({ cmd: "state" }), { state: { light: { effect: "breathing", colour: "blue" } } });

  // Re-powered: 55h, and its password is wanted again.
  const waiting = bridge.identify({ prompt: "power", timeoutMs, fingers: people.map((known) => ({ ...known, digestPrefix })) });
  await sleep(systemClock, 200);
  await emulator.control({ cmd: "power", to: "cycle" });
  await sleep(systemClock, 1500);
  await touch("alice-index");
  t.match(await waiting, { outcome: "matched", slot: 0 });
  await lift();

  await emulator.control({ cmd: "unplug" });
  await until(() => statuses.at(-1)?.state === "absent");
  t.match(await failure(bridge.exportTemplate({ slot: 0 })), { retryable: true });
  await emulator.control({ cmd: "replug" });
  await until(() => statuses.at(-1)?.state === "ready");
  t.match(await identify(people, "alice-index"), { outcome: "matched", slot: 0 });

  await emulator.control({ cmd: "swap" });
  t.match(await failure(identify(people, "alice-index")), { code: /SENSOR_FOREIGN|SENSOR_ABSENT/ });
  await until(() => statuses.at(-1)?.state === "foreign");
  t.match(await failure(bridge.pair()), { code: "SENSOR_FOREIGN" });
});

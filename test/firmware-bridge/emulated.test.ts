import t from "tap";
import { sleep, systemClock } from "../../agent/runtime/clock.ts";
import { digestPrefix, EmulatedBridge, enrolledBridge } from "./support/emulated-bridge.ts";

const failure = (promise: Promise<unknown>): Promise<unknown> => promise.then(() => "resolved", (error: unknown) => error);
const five = (finger: string): string[] => Array.from({ length: 5 }, () => finger);

void t.test("driver and emulator agree", async (t) => {
  const bench = await EmulatedBridge.start();
  t.teardown(() => bench.stop());
  const { bridge, emulator } = bench;
  t.match(await bridge.pair(), { state: "ready", emulated: true, model: /R503/, capacity: 200, templates: 0 });
  const alice = await bench.enrol(five("alice-index"));
  const bob = await bench.enrol(five("bob-thumb"));
  t.match([alice, bob], [{ slot: 0 }, { slot: 1 }]);
  t.match(await bridge.status(), { templates: 2 });
  const people = [alice, bob];

  t.match(await bench.touchUntilOver(people, "bob-thumb"), { outcome: { outcome: "matched", slot: 1, digest: bob.digest, emulated: true }, touches: 1 });
  t.same((await bench.touchUntilOver(people, "mallory-thumb")).outcome, { outcome: "refused", reason: "unknown-finger" });
  t.same((await bench.touchUntilOver([{ slot: 0, digest: bob.digest }], "alice-index")).outcome, { outcome: "refused", reason: "template-changed" });

  await bench.touch("alice-index");
  const resting = await bridge.identify({ prompt: "resting", timeoutMs: 1000, fingers: people.map((known) => ({ ...known, digestPrefix })) });
  t.same(resting, { outcome: "timeout" }, "a finger that lay there already does not count");
  await bench.lift();

  t.match(await failure(bench.enrol(["carol", "carol", "carol", "carol", "dave"])), { code: "ENROL_FAILED" });
  const template = await bridge.exportTemplate({ slot: 0 });
  t.equal(template.length, 1536);
  await bridge.importTemplate({ slot: 9, template });
  t.match(await bridge.status(), { templates: 3 }, "nothing of the failed enrolment is there");
  await bridge.remove({ slot: 9 });
  await bridge.light({ state: "waiting" });
  t.match(await emulator.control({ cmd: "state" }), { state: { light: { effect: "breathing", colour: "blue" } } });

  await emulator.control({ cmd: "unplug" });
  await bench.state("absent");
  t.match(await failure(bridge.exportTemplate({ slot: 0 })), { retryable: true });
  await emulator.control({ cmd: "replug" });
  await bench.state("ready");
  t.match((await bench.touchUntilOver(people, "alice-index")).outcome, { outcome: "matched", slot: 0 });

  await emulator.control({ cmd: "swap" });
  t.match(await failure(bench.identify(people)), { code: /SENSOR_FOREIGN|SENSOR_ABSENT/ });
  await bench.state("foreign");
  t.match(await failure(bridge.pair()), { code: "SENSOR_FOREIGN" });
});

void t.test("re-powered under a prompt: its password is given again, and the next touch counts", async (t) => {
  const repowers = [{ cmd: "power", to: "cycle" }, { cmd: "fault", name: "silent-repower" }, { cmd: "fault", name: "unsolicited-55" }];
  await Promise.all(repowers.map(async (repower) => {
    const { bench, alice } = await enrolledBridge(t);
    const waiting = bench.identify([alice]);
    await sleep(systemClock, 200);
    await bench.emulator.control(repower);
    await sleep(systemClock, 2000);
    // On a busy machine the password may take longer: what lay there before does not count, the touch after does.
    for (let touches = 0, isOver = false; !isOver && touches < 5; touches++) {
      await bench.touch("alice-index");
      isOver = await Promise.race([waiting.then(() => true), sleep(systemClock, 2000).then(() => false)]);
      await bench.lift();
      await sleep(systemClock, 500);
    }
    t.match(await waiting, { outcome: "matched", slot: 0 }, JSON.stringify(repower));
  }));
});

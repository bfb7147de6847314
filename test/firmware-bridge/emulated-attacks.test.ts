import t from "tap";
import { enrolledBridge, type EnrolledBridge } from "./support/emulated-bridge.ts";

const upload = 0x08;
const failure = (promise: Promise<unknown>): Promise<unknown> => promise.then(() => "resolved", (error: unknown) => error);

/** The fault has ended: the next touch is matched. */
async function serves(t: { match: (found: unknown, wanted: unknown, why: string) => unknown }, { bench, alice }: EnrolledBridge, after: string): Promise<void> {
  await bench.emulator.control({ cmd: "clear-faults" });
  t.match((await bench.touchUntilOver([alice], "alice-index")).outcome, { outcome: "matched" }, `after ${after}`);
}

void t.test("attacks: each has its name, and the sensor serves when they end", async (t) => {
  const attacks: readonly ((made: EnrolledBridge) => Promise<void>)[] = [
    async ({ bench, alice }) => {
      await bench.fault("accept-any-password", { times: 1000 });
      t.match(await failure(bench.identify([alice])), { code: "SENSOR_FOREIGN" });
      await serves(t, { bench, alice }, "accept-any-password");
      await bench.fault("lower-security");
      t.match(await failure(bench.identify([alice])), { code: "SENSOR_LEVEL_LOWERED" });
      await bench.state("fault");
      t.match(await bench.bridge.pair(), { state: "ready" }, "pairing again raises it");
      await serves(t, { bench, alice }, "lower-security");
    },
    async ({ bench, alice }) => {
      await bench.fault("silent", { times: 1000 });
      t.match(await failure(bench.identify([alice])), { code: "SENSOR_SILENT", retryable: true });
      await bench.emulator.control({ cmd: "clear-faults" });
      await bench.state("ready");
      await serves(t, { bench, alice }, "silent");
    },
    async ({ bench, alice }) => {
      await bench.fault("endless-data", { opcode: upload });
      t.match(await failure(bench.bridge.exportTemplate({ slot: 0 })), { code: "SENSOR_GARBLED", message: /more than 4096/ });
      await bench.emulator.control({ cmd: "power", to: "cycle" });
      await serves(t, { bench, alice }, "endless-data, which ends with its supply");
    },
    async ({ bench, alice }) => {
      await bench.fault("move-template", { from: 0, to: 5 });
      t.same((await bench.touchUntilOver([alice], "alice-index")).outcome, { outcome: "refused", reason: "unknown-finger" });
      await bench.fault("move-template", { from: 5, to: 0 });
      await serves(t, { bench, alice }, "move-template");
      await bench.fault("substitute-template", { slot: 0, finger: "mallory" });
      t.same((await bench.touchUntilOver([alice], "mallory")).outcome, { outcome: "refused", reason: "template-changed" });
    },
  ];
  await Promise.all(attacks.map(async (attack) => { await attack(await enrolledBridge(t)); }));
});

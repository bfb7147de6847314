import { readBoxConfig } from "../../agent/box/config.ts";
import { startBox } from "../../agent/box/start.ts";
import { digest } from "../../agent/protocol/canonical.ts";
import { stdoutLog } from "../../agent/runtime/log.ts";
import { runMain } from "../../agent/runtime/main.ts";
import type { Bridge } from "../../firmware-bridge/client.ts";

/**
 * A box whose sensor answers at once: the finger's and the sensor's time are taken out of the bench, and
 * nothing else. For measuring only; it is no part of the package.
 */
const enrolled = (prefix: Uint8Array): Uint8Array => digest("instant-finger", "bench", { prefix });
const status = { state: "ready" as const, emulated: true };
const instantSensor: Bridge = {
  status: () => Promise.resolve(status),
  pair: () => Promise.resolve(status),
  identify: ({ fingers }) => {
    const [finger] = fingers;
    return Promise.resolve(finger === undefined ? { outcome: "timeout" } : { outcome: "matched", slot: finger.slot, score: 100, digest: finger.digest, emulated: true });
  },
  cancel: () => Promise.resolve(),
  enrol: ({ digestPrefix }) => Promise.resolve({ slot: 0, digest: enrolled(digestPrefix), emulated: true }),
  exportTemplate: () => Promise.resolve(new Uint8Array()),
  importTemplate: () => Promise.resolve(),
  remove: () => Promise.resolve(),
  light: () => Promise.resolve(),
};

await runMain("bench box", async (args, onStop) => {
  const config = readBoxConfig(args);
  await startBox(config, stdoutLog(config.box), () => Promise.resolve(instantSensor), onStop);
});

import { digest } from "../../agent/protocol/canonical.ts";
import type { Bridge } from "../../firmware-bridge/client.ts";

const enrolled = (prefix: Uint8Array): Uint8Array => digest("instant-finger", "bench", { prefix });
const status = { state: "ready" as const, emulated: true };
/** A sensor that matches the first finger it is asked for, at once. */
export const instantSensor: Bridge = {
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

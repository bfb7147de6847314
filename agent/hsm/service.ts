import type { Clock } from "../runtime/clock.ts";
import type { Handlers } from "../runtime/ipc.ts";
import type { HsmCalls } from "./calls.ts";
import { Challenges } from "./challenge.ts";
import type { HsmConfig } from "./config.ts";
import { Device } from "./device.ts";
import { Keys } from "./keys.ts";
import { createVault, DeviceSealKeys } from "./seals.ts";
import { shareCalls } from "./share-calls.ts";
import { createToken, destroyEverything } from "./token.ts";
import { overwriteYoungHeap } from "../runtime/young-heap.ts";

/** Everything the hsm process answers, over one device. */
export function hsmService(config: HsmConfig, clock: Clock): { readonly handlers: Handlers<HsmCalls>; readonly close: () => void } {
  const device = new Device(config, clock);
  const keys = new Keys(device);
  const challenges = new Challenges(device);
  const sealKeys = new DeviceSealKeys(device);
  const shares = shareCalls(sealKeys);
  return {
    close: () => { device.close(); },
    handlers: {
      createToken: () => createToken(config, device),
      tokens: () => device.tokens(),
      destroyEverything: () => destroyEverything(device),
      info: () => device.info,
      reopen: () => { device.reopen(); },
      createKey: ({ role }) => keys.create(role),
      publicKey: ({ role }) => keys.publicKey(role),
      sign: ({ role, message }) => keys.sign(role, message),
      random: ({ length }) => keys.random(length),
      selfTest: () => { keys.selfTest(); },
      createChallengeSecret: ({ box, recipient, info }) => challenges.create(box, recipient, info),
      acceptChallengeSecret: ({ box, generation, enc, ct, info }) => { challenges.accept(box, sealKeys.recipient(generation), { enc, ct }, info); },
      removeChallengeSecret: ({ box }) => { challenges.remove(box); },
      mac: ({ box, message }) => challenges.mac(box, message),
      verifyMac: ({ box, message, mac }) => challenges.verify(box, message, mac),
      createSealKey: ({ generation }) => sealKeys.create(generation),
      sealKeys: () => sealKeys.list(),
      destroySealKey: ({ generation }) => { sealKeys.destroy(generation); },
      createVault: ({ generation }) => createVault(sealKeys, generation),
      ...shares,
      dealShards: (args) => thenOverwrite(shares.dealShards(args)),
      holderCheck: (args) => thenOverwrite(shares.holderCheck(args)),
      witnessCheck: (args) => thenOverwrite(shares.witnessCheck(args)),
    },
  };
}

/** After the calls in which the Shamir library's own arrays hold something secret. */
async function thenOverwrite<T>(call: T | Promise<T>): Promise<T> {
  try {
    return await call;
  } finally {
    overwriteYoungHeap();
  }
}

import { randomBytes } from "node:crypto";
import { HsmProcess } from "../../../agent/hsm/client.ts";
import { challengeSecretContext } from "../../../agent/protocol/joining.ts";
import { seal } from "../../../agent/protocol/seal.ts";
import { readBoxConfig } from "../../../agent/box/config.ts";
import { silentLog } from "../../../agent/runtime/log.ts";
import { alice, asks } from "../asks.ts";
import type { BoxId } from "../site.ts";
import { endOf, type Scenario, type Stage } from "../stage.ts";

const payload = (): Uint8Array => new Uint8Array(randomBytes(16));

function holdersDown(name: string, down: readonly BoxId[], expected: string | null, tells: string): Scenario {
  return {
    name, tells, expected, leaves: "boxes",
    play: async (stage) => {
      await stage.step(`kill ${down.join(", ")}`, async () => { await Promise.all(down.map((box) => stage.site.kill(box))); });
      return await stage.step("encrypt all the same", () => endOf(stage.use(asks.encrypt(payload()), alice)));
    },
  };
}

export const twoHoldersDown = holdersDown("two-holders-down", ["box-4", "box-5"], null, "two of five holders are dead, three serve");
export const threeHoldersDown = holdersDown("three-holders-down", ["box-3", "box-4", "box-5"], "NOT_ENOUGH_HOLDERS", "three of five holders are dead");

/** Exchanges the pre-shared secret in a box's HSM for one that the coordinator does not have. */
async function exchangeSecret(stage: Stage, box: BoxId): Promise<void> {
  await stage.site.stop(box);
  const config = readBoxConfig(["--config", stage.site.configOf(box)]);
  const hsm = new HsmProcess(config.hsm, { log: silentLog });
  await hsm.start();
  try {
    // Whoever has the box can do this: a seal key of their own, and a secret sealed to it.
    const generation = 99;
    const recipient = await hsm.createSealKey({ generation });
    const info = challengeSecretContext(config.site, box);
    await hsm.removeChallengeSecret({ box });
    await hsm.acceptChallengeSecret({ box, generation, info, ...seal(recipient, info, new Uint8Array(), new Uint8Array(randomBytes(32))) });
    await hsm.destroySealKey({ generation });
  } finally {
    await hsm.stop();
  }
  await stage.site.startBox(box);
  await stage.site.boxesReady();
}

/**
 * Halts the other holders until the bad box has answered, or the bad one until three others have: the
 * coordinator still waits for it then, because its grace runs.
 */
async function compromised(stage: Stage, order: "first" | "last"): Promise<string | null> {
  const bad: BoxId = "box-3";
  const halted: readonly BoxId[] = order === "first" ? ["box-2", "box-4", "box-5"] : [bad];
  const signal = (name: "SIGSTOP" | "SIGCONT"): void => { for (const box of halted) stage.site.processes.get(box)?.signal(name); };
  let answers = 0;
  let released = false;
  try {
    const ended = await endOf(stage.use(asks.encrypt(payload()), alice, ({ state }) => {
      if (state === "accepted") signal("SIGSTOP");
      if (state === "answered" && ++answers === 3) signal("SIGCONT");
      if (state === "released") released = true;
    }));
    stage.expect(!released, "a shard was released although an HSM had answered wrongly");
    stage.expect(order === "first" ? answers < 3 : answers >= 3, `the bad box did not answer ${order}`);
    const { boxes } = await stage.site.client.request("status", {});
    stage.expect(boxes.find(({ box }) => box === bad)?.state === "quarantined", `${bad} is not in quarantine`);
    return ended;
  } finally {
    signal("SIGCONT");
  }
}

export const compromisedHsm: Scenario = {
  name: "compromised-hsm", tells: "one HSM holds another pre-shared secret", expected: "HSM_COMPROMISED", leaves: "marks",
  play: async (stage) => {
    await stage.step("another secret in the HSM of box-3", () => exchangeSecret(stage, "box-3"));
    const first = await stage.step("it answers first", () => compromised(stage, "first"));
    stage.expect(first === "HSM_COMPROMISED", `answering first ended with ${String(first)}`);
    await stage.step("the site as it was", async () => {
      await stage.site.stopAll();
      stage.site.restore();
      await stage.site.startCoordinator();
      await stage.site.startBoxes();
    });
    await stage.step("another secret again", () => exchangeSecret(stage, "box-3"));
    return await stage.step("it answers last", () => compromised(stage, "last"));
  },
};


import { setTimeout as sleep } from "node:timers/promises";
import { hasCode } from "../../../agent/runtime/errors.ts";
import { sealSomething, theKey, until } from "../reshards.ts";
import type { Scenario } from "../stage.ts";

const epochs = 20;
/** An operation takes about as long as an epoch lasts here. */
const openEvery = 4;
const lookMs = 100;
/** The shortest period is a second, and a coordinator looks once a second what is due: two seconds an epoch. */
const deadlineMs = 110_000;

const mostTries = 4;

/**
 * An epoch lasts about as long as a person takes to touch: one that is over before the holders are asked is refused
 * by them, and the request is to be made again.
 */
async function persistently(opens: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await opens();
      return;
    } catch (error) {
      if (tries === mostTries || !(hasCode(error, "STALE_EPOCH") || hasCode(error, "NOT_ENOUGH_HOLDERS"))) throw error;
    }
  }
}

export const periodic: Scenario = {
  name: "periodic", tells: `${epochs} epochs of two seconds: other holders every time, the key opens in every fourth`, expected: null, site: "periodic", leaves: "ruins", deadlineMs,
  play: async (stage) => {
    const { site } = stage;
    const opens = await stage.step("something is sealed", () => sealSomething(stage));
    let last = await theKey(site);
    const to = last.epoch + epochs;
    let opened = 0;
    let opening = Promise.resolve();
    while (last.epoch < to) {
      const epoch = last.epoch + 1;
      const next = await stage.step(`epoch ${epoch}`, () => until(site, `epoch ${epoch}`, (key) => key.epoch >= epoch));
      stage.expect(next.epoch === epoch, `epoch ${epoch} went by unseen`);
      stage.expect(next.holders.length === next.size && next.holders.join() !== last.holders.join() && next.holders.some((box) => !last.holders.includes(box)), `epoch ${epoch} has the holders of the one before, ${next.holders.join(", ")}`);
      if (epoch % openEvery === 0) {
        opened += 1;
        opening = opening.then(() => persistently(opens));
        opening.catch(() => undefined); // thrown below
      }
      last = next;
      await sleep(lookMs);
    }
    await stage.step("the last opening", () => opening);
    stage.expect(opened === epochs / openEvery, `it was opened ${opened} times`);
    await stage.step("of no epoch are there shards enough", () => until(site, "the old shards are destroyed", (key) => key.exposures.every(({ open, threshold }) => open.length < threshold)));
    return null;
  },
};

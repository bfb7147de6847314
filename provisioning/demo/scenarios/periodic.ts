import { sealSomething, theKey, until } from "../reshards.ts";
import type { Scenario } from "../stage.ts";

const epochs = 20;
const deadlineMs = 110_000;

export const periodic: Scenario = {
  name: "periodic", tells: `${epochs} epochs of a few seconds: other holders every time, and the key opens after each`, expected: null, site: "periodic", leaves: "ruins", deadlineMs,
  play: async (stage) => {
    const { site } = stage;
    const opens = await stage.step("something is sealed", () => sealSomething(stage));
    let last = await theKey(site);
    const to = last.epoch + epochs;
    while (last.epoch < to) {
      const epoch = last.epoch + 1;
      const next = await stage.step(`epoch ${epoch}`, () => until(site, `epoch ${epoch}`, (key) => key.epoch >= epoch));
      // The calendar waits for people who are touching: none goes by while it opens.
      stage.expect(next.epoch === epoch, `epoch ${epoch} went by unseen`);
      stage.expect(next.holders.length === next.size && next.holders.some((box) => !last.holders.includes(box)), `epoch ${epoch} has the holders of the one before, ${next.holders.join(", ")}`);
      await stage.step("the key opens", opens);
      last = next;
    }
    await stage.step("of no epoch are there shards enough", () => until(site, "the old shards are destroyed", (key) => key.exposures.every(({ open, threshold }) => open.length < threshold)));
    return null;
  },
};

import { wipe } from "../../../agent/runtime/secrets.ts";
import { openBoxes, order, sealSomething, theKey, until, untilWhole } from "../reshards.ts";
import type { Scenario } from "../stage.ts";
import { combinations, Thief } from "../thief.ts";
import { lastHolders } from "./lost-box.ts";

export const oldBackup: Scenario = {
  name: "old-backup", tells: "a box is set back to a backup from before a re-shard: quarantine, and its shard is worth nothing", expected: null, site: "quick", leaves: "ruins",
  play: async (stage) => {
    const { site } = stage;
    const thief = new Thief(site);
    const opens = await stage.step("something is sealed", () => sealSomething(stage));
    const before = await theKey(site);
    const [, set] = lastHolders(stage, before.holders);
    const old = await stage.step(`the disk of ${set} is copied; new shards by order`, async () => {
      site.copy(set, site.path("backup"));
      const image = thief.image(set);
      await order(site);
      await untilWhole(site);
      return image;
    });
    await stage.step("the copy is put back", async () => {
      await site.stop(set);
      site.putBack(set, site.path("backup"));
      await site.startBox(set);
    });
    await stage.step("it shows what it swore to have destroyed: quarantine", async () => {
      await until(site, `${set} is in quarantine`, (_key, { boxes }) => boxes.some(({ box, state }) => box === set && state === "quarantined"));
      await site.processes.get("coordinator")?.line(new RegExp(`quarantine .*box="${set}" .*"OLD_BACKUP"`));
    });
    await stage.step("cut out by itself", () => until(site, `a re-shard round ${set}`, (key) => !key.holders.includes(set) && openBoxes(key).every((box) => box === set)));
    const { record } = await site.client.request("key-show", { key: before.key });
    await stage.step("its shard combines with none of today's", async () => {
      const present = site.boxes.filter((box) => record.holders.some((holder) => holder.box === box) ).slice(0, record.threshold - 1);
      const shards = (await Promise.all([old, ...present.map((box) => thief.image(box))].map((image) => thief.shards(image)))).flat();
      const { tried, keys } = await combinations(shards, record);
      stage.expect(tried === 1 && keys === 0, `${keys} of ${tried} sets with the old shard are the key`);
      wipe(...shards.map(({ y }) => y));
    });
    await stage.step("the key opens without it", opens);
    return null;
  },
};

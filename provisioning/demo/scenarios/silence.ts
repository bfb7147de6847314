import { setTimeout as sleep } from "node:timers/promises";
import { openBoxes, sealSomething, theKey, until, untilWhole } from "../reshards.ts";
import type { BoxId, DemoSite } from "../site.ts";
import type { Scenario } from "../stage.ts";

/** Long enough for a silent box to be lost and a re-shard to be begun, twice over. */
const longMs = 4000;

const signal = (site: DemoSite, boxes: readonly BoxId[], name: "SIGSTOP" | "SIGCONT"): void => { for (const box of boxes) site.processes.get(box)?.signal(name); };
const linesOf = (site: DemoSite, pattern: RegExp): number => site.processes.get("coordinator")?.lines.filter((line) => pattern.test(line)).length ?? 0;

export const ourNetwork: Scenario = {
  name: "our-network", tells: "three of five boxes fall silent at once: more likely our network, so an alarm and nothing else", expected: null, site: "quick", leaves: "holders",
  play: async (stage) => {
    const { site } = stage;
    const opens = await stage.step("something is sealed", () => sealSomething(stage));
    const before = await theKey(site);
    const planned = linesOf(site, /re-shard planned/);
    const coordinator = site.processes.get("coordinator");
    const from = coordinator?.lines.length ?? 0;
    const silent: readonly BoxId[] = ["box-3", "box-4", "box-5"];
    signal(site, silent, "SIGSTOP");
    try {
      await stage.step("three boxes silent at once: hold, and an alarm", async () => {
        await until(site, "the hold", (_key, { hold }) => hold === "our-network");
        await coordinator?.line(/^<3>.*our network: held/, from);
      });
      await stage.step("a while later nobody is lost, nothing has begun", async () => {
        await sleep(longMs);
        await until(site, "the hold goes on", (key, { hold, boxes }) => hold === "our-network" && key.epoch === before.epoch && key.reshard === null && boxes.every(({ state }) => state !== "lost"));
      });
    } finally {
      signal(site, silent, "SIGCONT");
    }
    const after = await stage.step("they are heard again: all is as it was", async () => {
      await site.boxesReady();
      return await until(site, "no hold", (_key, { hold }) => hold === null);
    });
    stage.expect(after.epoch === before.epoch && after.record === before.record && linesOf(site, /re-shard planned/) === planned, "something was re-sharded");
    await stage.step("the key opens", opens);
    return null;
  },
};

export const jammedToTheFloor: Scenario = {
  name: "jammed-to-the-floor", tells: "boxes are silenced one by one: 5 holders, 4, and no fewer, with an alarm", expected: null, site: "quick", leaves: "holders",
  play: async (stage) => {
    const { site } = stage;
    const opens = await stage.step("something is sealed", () => sealSomething(stage));
    const before = await theKey(site);
    const alarms = linesOf(site, /^<3>.*re-shard held/);
    try {
      signal(site, ["box-5"], "SIGSTOP");
      const four = await stage.step("box-5 silent: four holders", () => until(site, "a re-shard round box-5", (key) => key.holders.length === 4 && openBoxes(key).join() === "box-5"));
      signal(site, ["box-4"], "SIGSTOP");
      await stage.step("box-4 silent: held at the floor, and an alarm", async () => {
        await until(site, "the hold at the floor", (key) => key.held === "floor");
        stage.expect(linesOf(site, /^<3>.*re-shard held .*why="floor"/) > 0 && linesOf(site, /^<3>.*re-shard held/) > alarms, "no alarm was logged");
      });
      await stage.step("three boxes still serve", opens);
      signal(site, ["box-3"], "SIGSTOP");
      await stage.step("box-3 silent: still held, a while later too", async () => {
        await sleep(longMs);
        await until(site, "four holders", (key) => key.epoch === four.epoch && key.holders.length === 4 && key.reshard === null);
      });
      stage.expect(four.epoch > before.epoch && four.holders.length === four.threshold + 1, "the margin was used up");
    } finally {
      signal(site, ["box-3", "box-4", "box-5"], "SIGCONT");
    }
    await stage.step("all are heard again: five holders", () => untilWhole(site));
    await stage.step("the key opens", opens);
    return null;
  },
};

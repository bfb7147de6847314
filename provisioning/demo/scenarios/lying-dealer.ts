import { order, sealSomething, theKey, untilWhole } from "../reshards.ts";
import type { BoxId } from "../site.ts";
import type { Scenario, Stage } from "../stage.ts";

/** What became of the attempts since line `from` of the coordinator's log: number and verdict. */
function failedSince(stage: Stage, from: number): { readonly attempt: string; readonly outcome: string }[] {
  const lines = stage.site.processes.get("coordinator")?.lines.slice(from) ?? [];
  return lines.flatMap((line) => {
    const [, attempt, outcome] = /re-shard attempt failed .*attempt=(\d+) outcome="([^"]*)"/.exec(line) ?? [];
    return attempt === undefined || outcome === undefined ? [] : [{ attempt, outcome }];
  });
}

export const lyingDealer: Scenario = {
  name: "lying-dealer", tells: "one of five deals another key's shards, then something that is no sharing: caught both times, and done without it", expected: null, site: "quick", leaves: "holders",
  play: async (stage) => {
    const { site } = stage;
    const opens = await stage.step("something is sealed", () => sealSomething(stage));
    const before = await theKey(site);
    // Dealers are the first of the record, and after a bad deal those that dealt in fewer of them: the first
    // holder deals in the first attempt and in the second.
    const liar = before.holders.find((box): box is BoxId => site.boxes.some((one) => one === box));
    if (liar === undefined) throw new TypeError("the key has no holder");
    await stage.step(`${liar} is in bad hands`, () => site.exchangeBox(liar, { entry: "provisioning/demo/bad-box.js", args: ["lies"] }));
    await untilWhole(site);
    const from = site.processes.get("coordinator")?.lines.length ?? 0;
    await stage.step("a re-shard by order: it lies twice, and is dealt without", () => order(site));
    const lied = site.processes.get(liar)?.lines.filter((line) => /: lie lie=/.test(line)).length ?? 0;
    const failed = failedSince(stage, from);
    stage.expect(lied === 2, `it lied ${lied} times`);
    stage.expect(failed.map(({ outcome }) => outcome).join() === "sums-differ,dealers-off-degree", `the verdicts were ${failed.map(({ outcome }) => outcome).join(", ")}`);
    await stage.step(`${liar} in good hands again; what it dealt is destroyed`, async () => {
      await site.exchangeBox(liar);
      const after = await untilWhole(site);
      stage.expect(after.epoch === before.epoch + 1, `the epoch is ${after.epoch} after ${before.epoch}`);
      for (const { attempt } of failed) stage.expect(after.exposures.some((one) => String(one.attempt) === attempt && one.open.length === 0), `something of attempt ${attempt} is left`);
    });
    const activated = failed.filter(({ attempt }) => site.boxes.some((box) => site.processes.get(box)?.lines.some((line) => line.includes(`attempt=${attempt} stage="activated"`))));
    stage.expect(activated.length === 0, "a bad deal was put in force");
    await stage.step("the key opens", opens);
    return null;
  },
};

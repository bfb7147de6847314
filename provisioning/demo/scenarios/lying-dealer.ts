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

const isBoxOf = (stage: Stage) => (box: string): box is BoxId => stage.site.boxes.some((one) => one === box);

export const lyingDealer: Scenario = {
  name: "lying-dealer", tells: "a holder deals another key's shards, then one something that is no sharing: caught each time, and done without it", expected: null, site: "quick", leaves: "holders",
  play: async (stage) => {
    const { site } = stage;
    const opens = await stage.step("something is sealed", () => sealSomething(stage));
    const before = await theKey(site);
    // The first t of the record deal, and after a bad deal rather those that did not: the first holder deals in the
    // first attempt, the fourth in the second.
    const liars = [before.holders[0] ?? "", before.holders[3] ?? ""].filter(isBoxOf(stage));
    const lies = ["another-secret", "no-sharing"] as const;
    await stage.step(`${liars.join(" and ")} are in bad hands`, async () => {
      await Promise.all(liars.map((box, i) => site.exchangeBox(box, { entry: "provisioning/demo/bad-box.js", args: [lies[i] ?? ""] })));
      await untilWhole(site);
    });
    const from = site.processes.get("coordinator")?.lines.length ?? 0;
    await stage.step("a re-shard by order: the one lies, then the other, and it is dealt without", () => order(site));
    liars.forEach((box, i) => { stage.expect(site.processes.get(box)?.lines.some((line) => line.includes(`lie what="${lies[i] ?? ""}"`)) === true, `${box} has not lied`); });
    const failed = failedSince(stage, from);
    stage.expect(failed.map(({ outcome }) => outcome).join() === "sums-differ,dealers-off-degree", `the verdicts were ${failed.map(({ outcome }) => outcome).join(", ")}`);
    const after = await stage.step("what was dealt falsely is destroyed", () => untilWhole(site));
    stage.expect(after.epoch > before.epoch, `the epoch is ${after.epoch} after ${before.epoch}`);
    for (const { attempt } of failed) {
      stage.expect(after.exposures.some((one) => String(one.attempt) === attempt && one.open.length === 0), `something of attempt ${attempt} is left`);
      stage.expect(!site.boxes.some((box) => site.processes.get(box)?.lines.some((line) => line.includes(`attempt=${attempt} stage="activated"`))), `attempt ${attempt} was put in force`);
    }
    await stage.step("in good hands again", () => Promise.all(liars.map((box) => site.exchangeBox(box))));
    await stage.step("the key opens", opens);
    return null;
  },
};

import { both } from "../asks.ts";
import { openBoxes, sealSomething, theKey } from "../reshards.ts";
import type { Scenario, Stage } from "../stage.ts";
import type { SiteProcess } from "../process.ts";

const [old, next] = ["box-5", "box-6"] as const;

/** The fingers that the command waits for, in what it says from line `from` on. */
async function approve(stage: Stage, command: SiteProcess, from: number): Promise<void> {
  await command.line(/^waiting for /, from);
  await stage.touch(both, command.line(/has taken version/, from));
}

export const replaceBox: Scenario = {
  name: "replace-box", tells: "a new box takes the place of an old one: let in, a holder, the old one cut out, retired and out at the broker; two officers approve both", expected: null, site: "panel", leaves: "ruins",
  play: async (stage) => {
    const { site } = stage;
    const opens = await stage.step("something is sealed", () => sealSomething(stage));
    const request = await stage.step(`${next} makes its keys and its request`, () => site.newBox(next));
    const answer = site.path(`${next}.answer.json`);
    const command = site.command("replace", ["box", "replace", old, request, "--out", answer, "--reason", "its fan is broken"]);
    await stage.step("`shardkeep box replace`: two officers let it in", async () => {
      await approve(stage, command, 0);
      await command.line(/next, at the box: shardkeep box accept/);
    });
    await stage.step(`${next} takes the answer and starts`, async () => {
      await site.accept(next);
      await site.startBox(next);
    });
    await stage.step(`${old} is cut out of the key, and has destroyed its shard`, () => command.line(/^ {2}\+ retired name/));
    const cut = await theKey(site);
    stage.expect(cut.holders.includes(next) && !cut.holders.includes(old) && openBoxes(cut).length === 0, `the key is held by ${cut.holders.join(", ")}, open at ${openBoxes(cut).join(", ") || "none"}`);
    await stage.step("two officers take it out of the record", async () => {
      await approve(stage, command, command.lines.findIndex((line) => line.includes("retired name")));
      await command.done();
    });
    await stage.step(`${old} is out at the broker, whatever certificate it has`, async () => { await site.processes.get(old)?.line(/BROKER_REFUSED/); });
    await stage.step("the key opens", opens);
    return null;
  },
};

import { wipe } from "../../../agent/runtime/secrets.ts";
import { openBoxes, sealSomething, theKey, until, untilWhole } from "../reshards.ts";
import type { BoxId } from "../site.ts";
import type { Scenario, Stage } from "../stage.ts";
import { combinations, Thief } from "../thief.ts";

/** Far from the people of the demo, who are at the first two: who leaves is one of the others. */
export function lastHolders(stage: Stage, holders: readonly string[]): [BoxId, BoxId] {
  const away = stage.site.boxes.filter((box) => holders.includes(box) && box !== "box-1" && box !== "box-2");
  const [a, b] = away.slice(-2);
  if (a === undefined || b === undefined) throw new TypeError("the key has too few holders for this");
  return [a, b];
}

export const lostBox: Scenario = {
  name: "lost-box", tells: "a thief takes a box: it is cut out, the key opens, and what the thief has is worth nothing", expected: null, site: "quick", leaves: "holders",
  play: async (stage) => {
    const { site } = stage;
    const thief = new Thief(site);
    const opens = await stage.step("something is sealed", () => sealSomething(stage));
    const before = await theKey(site);
    const [copied, taken] = lastHolders(stage, before.holders);
    const old = await stage.step(`the disk of ${copied} is copied, ${taken} is taken away`, async () => {
      const image = thief.image(copied);
      await site.kill(taken);
      return [image, thief.image(taken)];
    });
    const after = await stage.step("found out; new shards without it, the old ones destroyed", () => until(site, `a re-shard round ${taken}`, (key) => key.epoch > before.epoch && openBoxes(key).join() === taken));
    stage.expect(after.holders.length === before.holders.length - 1 && !after.holders.includes(taken), `the holders are ${after.holders.join(", ")}`);
    await stage.step("the key opens", opens);

    const { record } = await site.client.request("key-show", { key: before.key });
    const present = site.boxes.filter((box) => after.holders.includes(box)).slice(0, record.threshold);
    const current = await stage.step(`images of ${record.threshold} of today's boxes: one for the thief, all for the control`, async () => Promise.all(present.map((box) => thief.shards(thief.image(box)))));
    const stolen = await stage.step("what is on the two old disks", async () => Promise.all(old.map((image) => thief.shards(image))));
    const isOf = (epoch: number) => (one: { readonly record: { readonly epoch: number } }): boolean => one.record.epoch === epoch;
    stage.expect(current.flat().every(isOf(after.epoch)), "an old shard is still on a disk that has proven it destroyed");
    stage.expect(stolen.flat().every(isOf(before.epoch)) && stolen.flat().length === record.threshold - 1, "the old disks do not have the old shards");
    await stage.step("the thief combines every set of t or more of its shards", async () => {
      // Of the present boxes whose shard could be combined with the old ones at all: two of one x never can.
      const one = current.flat().find(({ x }) => stolen.flat().every((other) => other.x !== x));
      stage.expect(one !== undefined, "no present shard fits beside the old ones");
      const thiefs = await combinations([...stolen.flat(), ...(one === undefined ? [] : [one])], record);
      stage.expect(thiefs.tried > 0 && thiefs.keys === 0, `${thiefs.keys} of ${thiefs.tried} sets of the thief's shards are the key`);
      const control = await combinations(current.flat(), record);
      stage.expect(control.keys === control.tried && control.keys === 1, "as a control t present shards must be the key, or nothing was shown");
      wipe(...[...stolen, ...current].flat().map(({ y }) => y));
    });
    return null;
  },
};

export const returningBox: Scenario = {
  name: "returning-box", tells: "a box that was cut out comes back, is shown the certificate, destroys its shard, and holds a new one", expected: null, site: "quick", leaves: "holders",
  play: async (stage) => {
    const { site } = stage;
    const opens = await stage.step("something is sealed", () => sealSomething(stage));
    const before = await theKey(site);
    const [, away] = lastHolders(stage, before.holders);
    const cut = await stage.step(`${away} is killed and cut out`, async () => {
      await site.kill(away);
      return await until(site, `a re-shard round ${away}`, (key) => key.epoch > before.epoch && openBoxes(key).join() === away);
    });
    await stage.step("the key opens without it", opens);
    const from = site.processes.get("coordinator")?.lines.length ?? 0;
    await stage.step("it comes back, and has destroyed its old shard", async () => {
      await site.startBox(away);
      await until(site, `${away} proves its old shard destroyed`, (key) => openBoxes(key).length === 0);
      await site.processes.get(away)?.line(/re-shard .*stage="settled"/);
    });
    const back = await stage.step("it is a holder again", async () => {
      await site.processes.get("coordinator")?.line(new RegExp(`re-shard planned .*reason="spare" holders="[^"]*${away}`), from);
      return await untilWhole(site);
    });
    stage.expect(back.epoch > cut.epoch && back.holders.includes(away), `${away} is no holder again`);
    await stage.step("the key opens", opens);
    return null;
  },
};

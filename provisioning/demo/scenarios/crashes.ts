import { join } from "node:path";
import { Journal, type Entry } from "../../../agent/coordinator/reshard/journal.ts";
import { isDecided } from "../../../agent/rules/reshard/drive.ts";
import { openStore } from "../../../agent/store/level.ts";
import { openBoxes, order, sealSomething, theKey, until, untilWhole } from "../reshards.ts";
import type { DemoSite } from "../site.ts";
import type { Scenario, Stage } from "../stage.ts";
import { lastHolders } from "./lost-box.ts";

/** The attempt that a dead coordinator's journal has not decided. */
async function unfinished(site: DemoSite): Promise<Entry | undefined> {
  const store = await openStore(join(site.path("coordinator"), "store"));
  try {
    return new Journal(store).all().find(({ phase }) => !isDecided(phase));
  } finally {
    await store.close();
  }
}

/** A line that any of the site's boxes logs from now on. */
async function anyBox(site: DemoSite, pattern: RegExp): Promise<void> {
  await Promise.race(site.boxes.map(async (box) => {
    const process = site.processes.get(box);
    await process?.line(pattern, process.lines.length);
  }));
}

/** Orders a re-shard and kills the coordinator at `moment`; again, if it was faster and nothing was left unfinished. */
async function crashAt(stage: Stage, moment: (site: DemoSite) => Promise<unknown>): Promise<Entry> {
  const { site } = stage;
  for (let tries = 0; tries < 3; tries++) {
    const come = moment(site);
    const ordered = order(site).catch(() => undefined); // nobody answers it any more
    await come;
    await site.stopCoordinator("kill");
    await ordered;
    const left = await unfinished(site);
    await site.startCoordinator();
    await site.boxesReady();
    if (left !== undefined) return left;
    await untilWhole(site);
  }
  stage.expect(false, "the coordinator was not caught with an unfinished attempt");
  throw new TypeError("not reached");
}

export const coordinatorCrash: Scenario = {
  name: "coordinator-crash", tells: "the coordinator is killed in the middle of a re-shard, and after its certificate: restarted, it ends both", expected: null, site: "quick", leaves: "holders",
  play: async (stage) => {
    const { site } = stage;
    const opens = await stage.step("something is sealed", () => sealSomething(stage));
    const planned = (one: DemoSite): Promise<string> | undefined => {
      const coordinator = one.processes.get("coordinator");
      return coordinator?.line(/re-shard planned/, coordinator.lines.length);
    };
    const left = await stage.step("SIGKILL once a re-shard is planned; started again", () => crashAt(stage, async (one) => planned(one)));
    await stage.step(`journalled as ${left.phase}: driven to its end`, async () => {
      const attempt = left.plan.body.keys[0]?.attempt;
      const key = await untilWhole(site);
      stage.expect(key.exposures.some((one) => one.attempt === attempt && one.open.length === 0), `what attempt ${String(attempt)} left is not proven destroyed`);
    });
    const middle = await theKey(site);
    const certified = await stage.step("SIGKILL once a box has the new shards in force; started again", () => crashAt(stage, (one) => anyBox(one, /stage="activated"/)));
    await stage.step(`journalled as ${certified.phase}: there is no way but forward`, async () => {
      const key = await untilWhole(site);
      stage.expect(certified.phase === "certified" && key.epoch > middle.epoch, `it was ${certified.phase}, and the epoch is ${key.epoch} after ${middle.epoch}`);
    });
    await stage.step("the key opens", opens);
    return null;
  },
};

/** A holder that is killed right after its HSM has signed `what` in a re-shard. */
function diesAfter(name: string, what: "batch-prepared" | "batch-activated", tells: string): Scenario {
  return {
    name, tells, expected: null, site: "quick", leaves: "holders",
    play: async (stage) => {
      const { site } = stage;
      const opens = await stage.step("something is sealed", () => sealSomething(stage));
      const before = await theKey(site);
      const [, dying] = lastHolders(stage, before.holders);
      await stage.step(`${dying} tells what it signs`, () => site.exchangeBox(dying, { entry: "provisioning/demo/bad-box.js", args: ["tells"] }));
      await stage.step(`SIGKILL right after ${what}; the re-shard goes on`, async () => {
        const said = site.processes.get(dying)?.line(new RegExp(`signed what="${what}"`));
        const ordered = order(site);
        await Promise.all([ordered, said?.then(() => site.kill(dying))]);
      });
      const forward = await theKey(site);
      stage.expect(forward.epoch > before.epoch, "the order was answered without a new epoch");
      await stage.step("it ends forward, without the dead one", () => until(site, `a re-shard round ${dying}`, (key) => key.reshard === null && !key.holders.includes(dying) && openBoxes(key).every((box) => box === dying)));
      await stage.step("the key opens", opens);
      await stage.step("it comes back, destroys, holds again", async () => {
        await site.startBox(dying);
        const key = await untilWhole(site);
        stage.expect(key.holders.includes(dying), `${dying} is no holder again`);
      });
      return null;
    },
  };
}

export const diesAfterPrepared = diesAfter("dies-after-prepared", "batch-prepared", "a holder dies right after it has stored its new shard and said so");
export const diesAfterActivated = diesAfter("dies-after-activated", "batch-activated", "a holder dies right after it has put its new shard in force and said so");

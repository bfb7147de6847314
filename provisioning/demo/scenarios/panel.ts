import { withReadmitted } from "../../../agent/rules/record-edits.ts";
import { sleep, systemClock } from "../../../agent/runtime/clock.ts";
import { alice, asks, both } from "../asks.ts";
import { openBoxes, sealSomething, theKey, until, untilWhole } from "../reshards.ts";
import { endOf, type Scenario } from "../stage.ts";
import { waitUntil } from "../wait.ts";

const opened = "box-5";

export const tamper: Scenario = {
  name: "tamper", tells: "a box's lid is opened while its agent is dead: locked at its return, cut out, and back only by an officer's finger, under a rule of its own", expected: null, site: "panel", leaves: "holders",
  play: async (stage) => {
    const { site } = stage;
    const panel = site.panel(opened);
    const opens = await stage.step("something is sealed", () => sealSomething(stage));
    const before = await theKey(site);
    await stage.step(`${opened} is killed, its lid opened and closed again`, async () => {
      await site.kill(opened);
      await panel.lid("open");
      // A switch bounces: the firmware believes what lasts.
      await sleep(systemClock, 500);
      await panel.lid("closed");
    });
    await stage.step("back, it knows from its panel, and locks before it serves anything", async () => {
      await site.startBox(opened);
      await site.processes.get(opened)?.line(/tampered: locked .*cause="opened"/);
      await site.processes.get("coordinator")?.line(new RegExp(`quarantine box="${opened}" reason="TAMPERED"`));
    });
    const cut = await stage.step("cut out: new shards without it, its old one destroyed by the certificate", () => until(site, `a re-shard round ${opened}`, (key, { boxes }) =>
      key.epoch > before.epoch && !key.holders.includes(opened) && openBoxes(key).length === 0 && boxes.some(({ box, state }) => box === opened && state === "quarantined")));
    await stage.step("the key opens without it", opens);
    await stage.step("an officer readmits it: it unlocks, and its panel forgets", async () => {
      await stage.changeRecord(withReadmitted(opened), "looked at, found in order", alice);
      await site.processes.get(opened)?.line(/tamper lock lifted/);
    });
    const back = await stage.step("it is a holder again", () => untilWhole(site));
    stage.expect(back.epoch > cut.epoch && back.holders.includes(opened), `${opened} is no holder again`);
    await stage.step("the key opens", opens);
    return null;
  },
};

export const confirmButton: Scenario = {
  name: "confirm-button", tells: "a rule asks for the button of the box: with finger and button permitted, without the press refused", expected: "NOT_PERMITTED", site: "panel", leaves: "nothing",
  play: async (stage) => {
    const panel = stage.site.panel("box-1");
    const ask = asks.encryptVault(new Uint8Array(8));
    await stage.step("finger, then button", async () => {
      const operation = stage.use(ask, alice);
      operation.catch(() => undefined);
      await stage.site.processes.get("box-1")?.line(/to be confirmed with the button/);
      await panel.button("pressed");
      await sleep(systemClock, 500);
      await panel.button("released");
      await operation;
    });
    await stage.step("the button is pressed while nothing is asked: for nothing", async () => {
      await panel.button("pressed");
      await sleep(systemClock, 500);
      await panel.button("released");
      await sleep(systemClock, 500);
    });
    return await stage.step("two touches without a press", () => endOf(stage.use(ask, both)));
  },
};

export const panelUnplugged: Scenario = {
  name: "panel-unplugged", tells: "the panel of a box is pulled: degraded, which its ring and `status` say, and it works; plugged in again, it is well", expected: null, site: "panel", leaves: "nothing",
  play: async (stage) => {
    const { site } = stage;
    const [box] = alice[0] ?? ["box-1"];
    const panel = site.panel(box);
    const agent = site.processes.get(box);
    const shows = async (effect: string, colour: string): Promise<boolean> => {
      const { light } = await site.sensor(box).state();
      return light.effect === effect && light.colour === colour;
    };
    const is = (panelState: string, degraded: boolean) => until(site, `${box} with its panel ${panelState}`, (_key, { boxes }) =>
      boxes.some((one) => one.box === box && one.state === "ready" && one.panel === panelState && one.degraded === degraded));
    await stage.step(`all is well at ${box}, and its panel says so`, async () => {
      await is("ready", false);
      await waitUntil("green", 10_000, async () => (await panel.state()).light === "green");
    });
    await stage.step("somebody looks for it in the rack: it blinks white, and is as before", async () => {
      // For four seconds after a finger it may still show that.
      await waitUntil("identify", 10_000, async () => {
        const { shows, on } = await site.client.request("box-identify", { box, forMs: 1000 });
        return shows === "identify" && on === "panel";
      });
      await waitUntil("green after white", 10_000, async () => {
        const { light, shown } = await panel.state();
        return light === "green" && shown.some((one) => one.light === "white");
      });
    });
    await stage.step("its cable is pulled: degraded, in `status` and on the ring of its sensor", async () => {
      await panel.unplug();
      await is("absent", true);
      await waitUntil("the ring breathes purple", 10_000, () => shows("breathing", "purple"));
    });
    await stage.step("a finger at that very box: the operation works, and what is asked for stands on the box's console", async () => {
      const from = agent?.lines.length ?? 0;
      await stage.use(asks.encrypt(new Uint8Array(8)), alice);
      await agent?.line(/│ admin asks to encrypt/, from);
    });
    await stage.step("plugged in again: it is well, and says for itself that nobody watched its lid meanwhile", async () => {
      const from = agent?.lines.length ?? 0;
      await panel.replug();
      await agent?.line(/lid unwatched/, from);
      await is("ready", false);
      await waitUntil("green again, and the ring blue", 10_000, async () => (await panel.state()).light === "green" && await shows("on", "blue"));
    });
    return null;
  },
};

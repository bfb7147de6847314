import { readFileSync, writeFileSync } from "node:fs";
import { z } from "zod";
import { withRecovery, type Edit } from "../../../agent/rules/record-edits.ts";
import { both } from "../asks.ts";
import { run, type SiteProcess } from "../process.ts";
import { policy, type BoxId } from "../site.ts";
import type { Scenario, Stage } from "../stage.ts";
import { waitUntil } from "../wait.ts";

/** Of each box's own running time; a site's is a week. */
const delayMs = 12_000;

const newcomers = [["dave", "box-3"], ["erin", "box-4"]] as const satisfies readonly (readonly [string, BoxId])[];
const theirs = newcomers.map(([person, box]) => [box, `${person}-thumb`] as const);

/** The cards that somebody has, as one file to type from. */
function cardsIn(stage: Stage, ...cards: readonly number[]): string {
  const file = stage.site.path(`cards-${cards.join("-")}.txt`);
  writeFileSync(file, cards.map((card) => readFileSync(stage.site.path("cards", `card-${card}.txt`), "utf8")).join(""), { mode: 0o600 });
  return file;
}

/** From now on one auditor changes the site record. */
function thiefsPolicy(stage: Stage): string {
  const file = stage.site.path("thief.yaml");
  writeFileSync(file, JSON.stringify({ ...policy, rules: policy.rules.map((rule) => (rule.operations.includes("record") ? { ...rule, require: [{ person: "eve" }] } : rule)) }));
  return file;
}

/** The code with which a command that must fail has failed. */
async function refusalOf(command: SiteProcess): Promise<string> {
  const line = await command.line(/^[A-Z][A-Z_]+: /);
  return line.slice(0, line.indexOf(":"));
}

async function waits(stage: Stage, isWaiting: boolean): Promise<void> {
  await waitUntil(isWaiting ? "every box waits and alarms" : "nobody waits any more", 30_000, async () => {
    const { recovery, boxes } = await stage.site.client.request("status", {});
    return (recovery !== null) === isWaiting && boxes.every(({ recoveryMs }) => (recoveryMs !== null) === isWaiting);
  }, 100);
}

export const lostAdministrators: Scenario = {
  name: "lost-administrators", tells: "no officer is left: two of three cards of the recovery key make new ones after a delay; one card is nothing, and stolen ones are vetoed", expected: "RECORD_NOT_RECOVERABLE", site: "panel", leaves: "marks", deadlineMs: 120_000,
  play: async (stage) => {
    const { site } = stage;
    const key = await stage.step("`shardkeep site recovery-key`, offline: three cards, two of which are enough", async () => {
      await run("recovery-key", "provisioning/main.js", ["site", "recovery-key", "--threshold", "2", "--cards", "3", "--out", site.path("cards"), "--json"], site.path("log", "recovery-key.log"));
      const [line = ""] = readFileSync(site.path("log", "recovery-key.log"), "utf8").trim().split("\n");
      return z.looseObject({ key: z.string() }).parse(JSON.parse(line)).key;
    });
    const named = await stage.step("two officers name that key in the record", () => stage.changeRecord(withRecovery({ key, delayMs }), "a recovery key", both));
    await site.boxesReady();

    const alone = await stage.step("a thief with one card", () => refusalOf(site.command("thief-1", ["site", "recover", thiefsPolicy(stage)], cardsIn(stage, 2))));
    stage.expect(alone === "RECOVERY_CARDS_MISSING", `with one card it ended with ${alone}`);

    await stage.step("the officers are gone: two new people are enrolled, and two custodians type their cards", async () => {
      const command = site.command("recover", ["site", "recover", ...newcomers.flatMap(([person, box]) => ["--add", `${person}:officer:thumb:${box}`])], cardsIn(stage, 1, 3));
      for (const [person, box] of newcomers) {
        await command.line(new RegExp(`^${person} is enrolled at ${box}`));
        await site.enrolBy(command, box, `${person}-thumb`, person === "dave" ? /^erin is enrolled/ : /^version \d+ of the site record/);
      }
      await command.done();
    });
    await stage.step("until the delay is over the old record holds, and every box alarms", async () => {
      await waits(stage, true);
      const { siteRecord, boxes } = await site.client.request("status", {});
      stage.expect(siteRecord.version === named.body.version && boxes.every((box) => box.siteRecord === named.body.version), "it came into force at once");
      for (const { box } of boxes) await site.processes.get(box)?.line(/site recovery pending/);
      await waitUntil("a panel says that something is amiss", 5000, async () => (await site.panel("box-1").state()).light === "yellow");
    });
    await stage.step("the delay is over at every box", async () => {
      await waits(stage, false);
      await site.boxesReady();
    });
    const chief: Edit = (body) => ({ ...body, roles: [...body.roles, "chief"] });
    const made = await stage.step("the new officers change the record by their own fingers", () => stage.changeRecord(chief, "we are the officers now", theirs));
    stage.expect(made.body.version === named.body.version + 2, `it is version ${made.body.version}`);
    await site.boxesReady();

    await stage.step("somebody steals two cards", async () => {
      await site.command("thief-2", ["site", "recover", thiefsPolicy(stage)], cardsIn(stage, 1, 2)).done();
      await waits(stage, true);
    });
    await stage.step("`shardkeep site recovery --none`: the officers veto it", async () => {
      const veto = site.command("veto", ["site", "recovery", "--none", "--reason", "cards stolen"]);
      await veto.line(/^waiting for /);
      await Promise.all([stage.touch(theirs, veto.line(/there is no recovery key/)), veto.done()]);
    });
    await stage.step("every box has dropped it", async () => {
      await waits(stage, false);
      for (const box of site.boxes) await site.processes.get(box)?.line(/site recovery vetoed/);
      await site.boxesReady();
    });
    return await stage.step("and the cards are worth nothing any more", () => refusalOf(site.command("thief-3", ["site", "recover", thiefsPolicy(stage)], cardsIn(stage, 1, 2))));
  },
};

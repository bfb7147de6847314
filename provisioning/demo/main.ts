import { parseArgs } from "node:util";
import { exitCodes } from "../../agent/runtime/config.ts";
import { isNamed } from "../../agent/runtime/errors.ts";
import { interact } from "./interactive.ts";
import { buildSite, notPlayed, playScenario, type Ended } from "./play.ts";
import { DemoError } from "./process.ts";
import { scenarios } from "./scenarios/index.ts";
import { DemoSite } from "./site.ts";
import { Stage } from "./stage.ts";
import { tellStory } from "./story.ts";

const usage = `npm run demo                                the whole story on one machine
npm run demo -- --scenario NAME             one scenario: ${scenarios.map(({ name }) => name).join(", ")}, or all
npm run -s demo -- --scenario all --json    one line of JSON on stdout
npm run demo -- --interactive               the site stays up: touch sensors, kill and revive boxes
npm run demo -- --keep                      the site's folder is kept, to look into its logs
`;

interface Options {
  readonly scenario: string | undefined;
  readonly json: boolean;
  readonly interactive: boolean;
  readonly keep: boolean;
  readonly setupRan: readonly string[];
}

function options(args: readonly string[]): Options | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      "scenario": { type: "string" }, "json": { type: "boolean", default: false }, "interactive": { type: "boolean", default: false },
      "keep": { type: "boolean", default: false }, "help": { type: "boolean", short: "h", default: false }, "setup-ran": { type: "string", default: "" },
    },
  });
  if (values.help) return null;
  return { scenario: values.scenario, json: values.json, interactive: values.interactive, keep: values.keep, setupRan: values["setup-ran"].split(",").filter((name) => name !== "") };
}

const say = (line: string): void => { process.stderr.write(`${line}\n`); };

function chosen(name: string): typeof scenarios {
  const found = name === "all" ? scenarios : scenarios.filter((one) => one.name === name);
  if (found.length === 0) throw new DemoError("DEMO_USAGE", `there is no scenario ${name}`, { remedy: `one of: ${scenarios.map((one) => one.name).join(", ")}, all` });
  return found;
}

async function buildFor(building: Stage, wanted: typeof scenarios): Promise<void> {
  const { site } = building;
  await buildSite(building);
  if (!wanted.some(({ leaves }) => leaves === "marks")) return;
  await building.step("a copy of the site, to come back to", async () => {
    await site.stopAll();
    site.snapshot();
    await site.startCoordinator();
    await site.startBoxes();
  });
}

/** Plays the named scenarios one after the other; the site is built once and put right after each. */
async function playAll(site: DemoSite, name: string): Promise<Ended[]> {
  const wanted = chosen(name);
  const building = new Stage(site, ({ name: step, ms }) => { say(`  ${String(ms).padStart(6)} ms  ${step}`); });
  try {
    await buildFor(building, wanted);
  } catch (error) {
    const failed = notPlayed(building, wanted, error);
    say(`FAIL  ${failed[0]?.failed ?? ""}`);
    return failed;
  }
  const ended: Ended[] = [];
  for (const scenario of wanted) {
    const end = await playScenario(site, scenario);
    ended.push(end);
    say(`${end.ok ? "ok  " : "FAIL"}  ${end.name}: ${scenario.tells} → ${end.error ?? "done"} (${String(end.steps.reduce((sum, { ms }) => sum + ms, 0))} ms)${end.failed === undefined ? "" : `\n      ${end.failed}`}`);
  }
  return ended;
}

async function main(): Promise<number> {
  const wanted = options(process.argv.slice(2));
  if (wanted === null) {
    process.stdout.write(usage);
    return exitCodes.ok;
  }
  const site = new DemoSite();
  const stop = (): void => {
    say("stopping …");
    void site.end(wanted.keep).finally(() => process.exit(130));
  };
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  try {
    if (wanted.interactive) {
      await buildSite(new Stage(site, ({ name, ms }) => { say(`  ${String(ms).padStart(6)} ms  ${name}`); }));
      await interact(site, say);
      return exitCodes.ok;
    }
    if (wanted.scenario === undefined && !wanted.json) {
      await tellStory(site, (line) => { process.stdout.write(`${line}\n`); });
      return exitCodes.ok;
    }
    const ended = await playAll(site, wanted.scenario ?? "all");
    const ok = ended.every((one) => one.ok);
    if (wanted.json) process.stdout.write(`${JSON.stringify({ ok, setup: { ran: wanted.setupRan }, scenarios: ended })}\n`);
    return ok ? exitCodes.ok : exitCodes.failed;
  } finally {
    await site.end(wanted.keep);
    if (wanted.keep) say(`kept: ${site.folder}`);
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`demo: ${isNamed(error) ? error.toString() : String(error)}\n`);
  process.exitCode = isNamed(error) && error.code === "DEMO_USAGE" ? exitCodes.usage : exitCodes.failed;
}
// Supervised helpers of the attacker's part may still hold a timer: everything of the demo has ended.
process.exit();

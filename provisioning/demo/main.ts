import { parseArgs } from "node:util";
import { exitCodes } from "../../agent/runtime/config.ts";
import { isNamed } from "../../agent/runtime/errors.ts";
import { interact } from "./interactive.ts";
import { buildSite, notPlayed, playScenario, type Ended } from "./play.ts";
import { DemoError } from "./process.ts";
import { scenarios } from "./scenarios/index.ts";
import { DemoSite, type SiteKind } from "./site.ts";
import { Stage, type Scenario, type StepTime } from "./stage.ts";
import { tellStory } from "./story.ts";

const usage = `npm run demo                                the whole story on one machine
npm run demo -- --scenario NAME[,NAME…]     these scenarios: ${scenarios.map(({ name }) => name).join(", ")}, or all
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

function chosen(names: string): readonly Scenario[] {
  if (names === "all") return scenarios;
  return names.split(",").map((name) => {
    const found = scenarios.find((one) => one.name === name);
    if (found === undefined) throw new DemoError("DEMO_USAGE", `there is no scenario ${name}`, { remedy: `one of: ${scenarios.map((one) => one.name).join(", ")}, all` });
    return found;
  });
}

/** The site that is up; there is one at a time. */
class Current {
  #site: DemoSite | undefined;
  readonly #keep: boolean;

  constructor(keep: boolean) {
    this.#keep = keep;
  }

  async begin(kind: SiteKind): Promise<DemoSite> {
    await this.end();
    this.#site = new DemoSite(kind);
    return this.#site;
  }

  async end(): Promise<void> {
    const site = this.#site;
    this.#site = undefined;
    await site?.end(this.#keep);
    if (this.#keep && site !== undefined) say(`kept: ${site.folder}`);
  }
}

const sayStep = ({ name: step, ms }: StepTime): void => { say(`  ${String(ms).padStart(6)} ms  ${step}`); };

/** The site, or how its scenarios failed because it could not be built. */
async function built(current: Current, kind: SiteKind, wanted: readonly Scenario[]): Promise<DemoSite | Ended[]> {
  const site = await current.begin(kind);
  const building = new Stage(site, sayStep);
  try {
    await buildFor(building, wanted.filter((one) => siteOf(one) === kind));
    return site;
  } catch (error) {
    return notPlayed(building, wanted, error);
  }
}

async function buildFor(building: Stage, wanted: readonly Scenario[]): Promise<void> {
  const { site } = building;
  await buildSite(building);
  if (wanted.some((one) => one.leaves === "marks")) {
    await building.step("a copy of the site, to come back to", async () => {
      await site.stopAll();
      site.snapshot();
      await site.startCoordinator();
      await site.startBoxes();
    });
  }
}

const siteOf = ({ site = "usual" }: Scenario): SiteKind => site;

/** Plays scenarios one after the other; a site is built once for those that play on it, and put right after each. */
async function playAll(current: Current, wanted: readonly Scenario[]): Promise<Ended[]> {
  let site: DemoSite | undefined;
  const ended: Ended[] = [];
  for (const [i, scenario] of wanted.entries()) {
    if (site?.kind !== siteOf(scenario)) {
      const made = await built(current, siteOf(scenario), wanted.slice(i));
      if (Array.isArray(made)) {
        say(`FAIL  ${made[0]?.failed ?? ""}`);
        return [...ended, ...made];
      }
      site = made;
    }
    const end = await playScenario(site, scenario, wanted[i + 1]);
    ended.push(end);
    say(`${end.ok ? "ok  " : "FAIL"}  ${end.name}: ${scenario.tells} → ${end.error ?? "done"} (${String(end.steps.reduce((sum, { ms }) => sum + ms, 0))} ms)${end.failed === undefined ? "" : `\n      ${end.failed}`}`);
    if (scenario.leaves === "ruins") site = undefined;
  }
  return ended;
}

async function main(): Promise<number> {
  const wanted = options(process.argv.slice(2));
  if (wanted === null) {
    process.stdout.write(usage);
    return exitCodes.ok;
  }
  const toPlay = chosen(wanted.scenario ?? "all");
  const current = new Current(wanted.keep);
  const stop = (): void => {
    say("stopping …");
    void current.end().finally(() => process.exit(130));
  };
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  try {
    if (wanted.interactive) {
      const site = await current.begin("usual");
      await buildSite(new Stage(site, sayStep));
      await interact(site, say);
      return exitCodes.ok;
    }
    if (wanted.scenario === undefined && !wanted.json) {
      await tellStory(await current.begin("quick"), (line) => { process.stdout.write(`${line}\n`); });
      return exitCodes.ok;
    }
    const ended = await playAll(current, toPlay);
    const ok = ended.every((one) => one.ok);
    if (wanted.json) process.stdout.write(`${JSON.stringify({ ok, setup: { ran: wanted.setupRan }, scenarios: ended })}\n`);
    return ok ? exitCodes.ok : exitCodes.failed;
  } finally {
    await current.end();
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

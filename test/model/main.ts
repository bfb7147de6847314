import { parseArgs } from "node:util";
import { exitCodes } from "../../agent/runtime/config.ts";
import { breaks } from "./breaks.ts";
import { explore, type Found } from "./explore.ts";
import { realRules } from "./rules.ts";
import { settings } from "./settings.ts";

const usage = `npm run model                    every reachable state of the settings of protocol.md §7; exit 1 on a violation
npm run model -- --break RULE    without one rule, up to the first violation: ${Object.keys(breaks).join(", ")}
npm run -s model -- --json       one line of JSON on stdout
`;

const { values } = parseArgs({ options: {
  "break": { type: "string" }, "json": { type: "boolean", default: false }, "help": { type: "boolean", short: "h", default: false }, "setup-ran": { type: "string" },
} });
const broken = values.break === undefined ? {} : breaks[values.break];
const print = (line: string): void => { if (!values.json) process.stdout.write(`${line}\n`); };

if (values.help) process.stdout.write(usage);
else if (broken === undefined) {
  process.stderr.write(`there is no rule ${values.break ?? ""} to break\n${usage}`);
  process.exitCode = exitCodes.usage;
} else process.exitCode = await run();

async function run(): Promise<number> {
  const all: Found[] = [];
  const total = (of: "states" | "violations"): number => all.reduce((sum, found) => sum + found[of], 0);
  for (const setting of settings) {
    const found = await explore({ ...realRules, ...broken }, setting, values.break !== undefined);
    all.push(found);
    const people = found.needsPeople === 0 ? "" : `, ${found.needsPeople} need people`;
    print(`${setting.name}: ${found.states} states, ${found.violations} violations${people}`);
    for (const { invariant, trace } of found.examples) print([`violated: ${invariant}`, ...trace].join("\n  "));
    if (values.break !== undefined && found.violations > 0) break;
  }
  if (values.json) {
    const rows = all.map(({ setting, ...found }) => ({ setting: setting.name, ...found }));
    process.stdout.write(`${JSON.stringify({ break: values.break ?? null, settings: rows, states: total("states"), violations: total("violations") })}\n`);
  }
  print(`states ${total("states")}, violations ${total("violations")}`);
  return total("violations") > 0 ? 1 : 0;
}

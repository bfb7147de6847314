import { spawnSync } from "node:child_process";
import t from "tap";
import { root } from "#paths";
import { breaks } from "./breaks.ts";
import { explore, type Found } from "./explore.ts";
import type { Invariant } from "./invariants.ts";
import { realRules, type Rules } from "./rules.ts";
import { bounded, refresh, settings, type Setting } from "./settings.ts";

/** The first thing that goes wrong without each rule, in the bounded settings; every invariant is here. */
const finds: Readonly<Record<string, Invariant>> = {
  "destroy-before-certificate": "nothing-destroyed-early",
  "destroy-at-activation": "nothing-destroyed-early",
  "drop-at-own-burn": "nothing-destroyed-early",
  "join-while-open": "nothing-destroyed-early",
  "burn-after-activate": "one-side",
  "activate-after-burn": "one-side",
  "say-before-durable": "one-side",
  "epoch-reuse": "one-side",
  "burn-forgotten": "one-side",
  "one-burn": "one-verdict",
  "majority-d": "one-verdict",
  "one-activation": "one-successor",
  "settle-without-next": "key-kept",
  "activate-without-all": "key-kept",
  "all-activate": "never-stuck",
  "late-order": "never-stuck",
};

async function firstViolation(rules: Rules): Promise<Found | undefined> {
  for (const setting of bounded) {
    const found = await explore(rules, setting, true);
    if (found.violations > 0) return found;
  }
  return undefined;
}

void t.test("with the product's tables and counts no reachable state violates anything", async (t) => {
  for (const setting of bounded) {
    const { states, violations, examples } = await explore(realRules, setting);
    t.strictSame([violations, examples], [0, []], setting.name);
    t.ok(states > 400, `${setting.name}: ${states} states are no exploration`);
  }
});

void t.test("without any one rule the model finds what goes wrong, and the shortest way there", async (t) => {
  t.strictSame(Object.keys(breaks).sort(), Object.keys(finds).sort());
  for (const [rule, broken] of Object.entries(breaks)) {
    const found = await firstViolation({ ...realRules, ...broken });
    t.equal(found?.examples[0]?.invariant, finds[rule], rule);
  }
  const { examples } = await explore({ ...realRules, ...breaks["destroy-before-certificate"] }, bounded[1]!, true);
  t.match(examples[0]?.trace, [
    /^box \d is shown A: unknown → joined$/, /^box \d is shown A: unknown → joined$/,
    /^box \d gets all CHECKs of A: joined → prepared; it has current the old epoch's shard, next A's shard$/,
    /^box \d gets all CHECKs of A: joined → prepared/,
    /^box \d is shown D of A: prepared → settled; it has current A's shard$/,
  ]);
});

void t.test("one silent box needs people where there are three new holders, and not from four on; two always may", async (t) => {
  const needs = async (n: number, liar: number | null, frail: readonly number[]): Promise<{ needsPeople: number; example: string }> => {
    const setting: Setting = { ...refresh(n, "epochs"), name: "", coordinator: "honest", liar, frail };
    const { needsPeople, peopleExample } = await explore(realRules, setting);
    return { needsPeople, example: peopleExample?.join("\n") ?? "" };
  };
  t.equal((await needs(3, null, [])).needsPeople, 0);
  const three = await needs(3, null, [1]);
  t.match(three, { example: /the coordinator has P, and shows it, of A\n/ });
  t.equal((await needs(4, null, [1])).needsPeople, 0);
  t.equal((await needs(4, 1, [])).needsPeople, 0);
  t.not((await needs(4, 1, [2])).needsPeople, 0);
});

void t.test("every setting has a name of its own, and three, four and five boxes are among them", async (t) => {
  t.equal(new Set(settings.map(({ name }) => name)).size, settings.length);
  t.strictSame([...new Set(settings.map(({ old }) => old.length))].sort(), [3, 4, 5]);
});

void t.test("the command ends with the count, fails on a violation and refuses a rule that it does not know", async (t) => {
  const main = `${root}dist/test/model/main.js`;
  const run = (...args: string[]) => spawnSync(process.execPath, [main, "--setup-ran", "", ...args], { encoding: "utf8", env: { PATH: process.env["PATH"] } });
  const broken = run("--break", "one-burn");
  t.match(broken, { status: 1, stdout: /^violated: one-verdict$[^]*\nstates \d+, violations 1\n$/m });
  const json = run("--break", "one-burn", "--json");
  t.equal(json.status, 1);
  t.match(JSON.parse(json.stdout), { break: "one-burn", violations: 1, settings: [{ examples: [{ invariant: "one-verdict" }] }] });
  t.match(run("--break", "nothing"), { status: 64, stdout: "", stderr: /there is no rule nothing to break[^]*one-burn/ });
});

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Test } from "tap";
import { root } from "#paths";
import "./plain-children.ts";

interface Report { ok: boolean; setup: { ran: string[] }; scenarios: { name: string; ok: boolean; expected: string | null; error: string | null; failed?: string; steps: { name: string; ms: number }[] }[] }

const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => name !== "NODE_OPTIONS"));
export const demo = (...args: string[]) => promisify(execFile)(process.execPath, [`${root}dist/provisioning/demo/main.js`, ...args], { env: environment, maxBuffer: 2 ** 24, timeout: 230_000 });

/** The whole site of processes, as a user runs it: every scenario must end as it must, in the contract's shape. */
export async function playScenarios(t: Test, names: readonly string[]): Promise<void> {
  const { stdout, stderr } = await demo("--scenario", names.join(), "--json", "--setup-ran", "").catch((error: unknown) => error as { stdout: string; stderr: string });
  if (stdout === "") t.fail(stderr);
  const lines = stdout.trim().split("\n");
  t.equal(lines.length, 1, "one line, alone on stdout");
  const report = JSON.parse(lines[0] ?? "{}") as Report;
  t.strictSame(Object.keys(report), ["ok", "setup", "scenarios"]);
  t.strictSame(report.setup, { ran: [] });
  t.strictSame(report.scenarios.map(({ name }) => name), names);
  for (const scenario of report.scenarios) {
    t.ok(scenario.ok, `${scenario.name}: ${scenario.failed ?? scenario.error ?? "done"}`);
    t.equal(scenario.error, scenario.expected, scenario.name);
    t.ok(scenario.steps.length > 0 && scenario.steps.every(({ name, ms }) => typeof name === "string" && Number.isInteger(ms)));
  }
  t.ok(report.ok);
}

/** Played by test/site/demo.test.ts; with the three lists below these are all there are. */
export const usualScenarios = [
  "use", "wrong-finger", "not-permitted", "wrong-resource", "compromised-hsm", "replayed-evidence", "swapped-request", "lying-coordinator",
  "two-requests", "two-holders-down", "three-holders-down", "rollback-record", "record-change",
];
/** Played by `npm run test:slow`. In every run the same is played in one process, on a clock that is moved: test/site/, test/simulation/. */
export const slowScenarios = ["lost-administrators", "dies-after-prepared", "dies-after-activated", "jammed-to-the-floor", "periodic"];
/** Played by test/site/demo-reshard.test.ts. */
export const reshardScenarios = ["lost-box", "returning-box", "lying-dealer", "coordinator-crash", "our-network", "old-backup"];
/** Played by test/site/demo-panel.test.ts. */
export const panelScenarios = ["tamper", "confirm-button", "panel-unplugged", "replace-box"];

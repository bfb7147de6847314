import { execFile } from "node:child_process";
import { promisify } from "node:util";
import t from "tap";
import { root } from "#paths";
import "../support/plain-children.ts";

/** The whole site of processes, as a user runs it: every scenario must end as it must, in the contract's shape. */
const names = [
  "use", "wrong-finger", "not-permitted", "wrong-resource", "compromised-hsm", "replayed-evidence", "swapped-request", "lying-coordinator",
  "two-requests", "two-holders-down", "three-holders-down",
];

interface Report { ok: boolean; setup: { ran: string[] }; scenarios: { name: string; ok: boolean; expected: string | null; error: string | null; failed?: string; steps: { name: string; ms: number }[] }[] }

const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => name !== "NODE_OPTIONS"));
const demo = (...args: string[]) => promisify(execFile)(process.execPath, [`${root}dist/provisioning/demo/main.js`, ...args], { env: environment, maxBuffer: 2 ** 24, timeout: 230_000 });

void t.test("all scenarios on one site of processes", async (t) => {
  const { stdout, stderr } = await demo("--scenario", "all", "--json", "--setup-ran", "").catch((error: unknown) => error as { stdout: string; stderr: string });
  if (stdout === "") t.fail(stderr);
  const lines = stdout.trim().split("\n");
  t.equal(lines.length, 1, "one line, alone on stdout");
  const report = JSON.parse(lines[0] ?? "{}") as Report;
  t.strictSame(Object.keys(report), ["ok", "setup", "scenarios"]);
  t.strictSame(report.setup, { ran: [] });
  t.strictSame(report.scenarios.map(({ name }) => name).sort(), [...names].sort());
  for (const scenario of report.scenarios) {
    t.ok(scenario.ok, `${scenario.name}: ${scenario.failed ?? scenario.error ?? "done"}`);
    t.equal(scenario.error, scenario.expected, scenario.name);
    t.ok(scenario.steps.length > 0 && scenario.steps.every(({ name, ms }) => typeof name === "string" && Number.isInteger(ms)));
  }
  t.ok(report.ok);
});

void t.test("an unknown scenario is a usage error", async (t) => {
  const failed = await demo("--scenario", "nonsense").then(() => null, (error: unknown) => error as { code: number; stderr: string });
  t.equal(failed?.code, 64);
  t.match(failed?.stderr, /DEMO_USAGE.*nonsense[\s\S]*lying-coordinator/);
});

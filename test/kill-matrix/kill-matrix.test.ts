import { execFile } from "node:child_process";
import { promisify } from "node:util";
import t from "tap";
import { root } from "#paths";
import "../support/plain-children.ts";

/** The most telling points; the whole matrix is a command of its own. */
const telling = [
  "coordinator after commit certified", // P is journalled and nobody was shown it
  "box-2 after commit prepared", // *next* is durable and nobody was told
  "box-4 before destroySealKey #2", // all is sealed anew, the seal key before is still there
];

interface Report { points: number; failed: number; points_detail: { point: number; name: string; ok: boolean; forward: boolean; error?: string }[] }

const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => name !== "NODE_OPTIONS"));
const matrix = async (...args: string[]) => await promisify(execFile)(process.execPath, [`${root}dist/test/kill-matrix/main.js`, "--json", ...args], { env: environment, timeout: 230_000 })
  .catch((error: unknown) => error as { stdout: string; stderr: string });

void t.test("whoever is killed in a re-shard: the key opens, t shards are good, no past epoch is exposed", async (t) => {
  const { stdout, stderr } = await matrix(...telling.flatMap((name) => ["--point", name]));
  if (stdout === "") return t.fail(stderr);
  const report = JSON.parse(stdout) as Report;
  t.strictSame(report.points_detail.map(({ name }) => name), telling);
  for (const { name, ok, error } of report.points_detail) t.ok(ok, `${name}: ${error ?? "done"}`);
  t.equal(report.failed, 0);
  const forward = new Map(report.points_detail.map((one) => [one.name, one.forward]));
  t.equal(forward.get("coordinator after commit certified"), true, "P was journalled: there is no way but forward");
});

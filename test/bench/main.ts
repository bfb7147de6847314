import { mkdirSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { cache } from "#paths";
import { round, table, type ReshardRow } from "./figures.ts";
import { measureOperations } from "./operation.ts";
import { measureReshards, reshardSizes, reshardTimes } from "./reshard.ts";

const usage = "usage: npm run bench [-- --only operation|reshard]\n";
const { values: { only } } = parseArgs({ options: { "only": { type: "string" }, "setup-ran": { type: "string" } } });
if (only !== undefined && only !== "operation" && only !== "reshard") {
  process.stderr.write(usage);
  process.exit(64);
}

const file = join(cache, "bench.json");
mkdirSync(cache, { recursive: true });
const report: Record<string, unknown> = {};
const print = (lines: readonly string[], measured: object): void => {
  Object.assign(report, measured);
  writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
  process.stdout.write(`${lines.join("\n")}\n`);
};

/** What else the machine did: figures mean little where others wanted it too. */
const load = (): number => round(loadavg()[0] ?? NaN);

if (only !== "reshard") {
  const loadAverage = load();
  const operations = await measureOperations();
  print([
    table(["t of n", "p50 ms", "p99 ms", "floor ms", "ratio"], operations.rows.map((row) => [`${row.t} of ${row.n}`, row.p50, row.p99, row.floor, row.ratio])),
    `  ${String(operations.operationsPerSecond)} operations a second with ${operations.inFlight} in flight (3 of 5); load average ${loadAverage} at the start`,
  ], { ...operations, loadAverage });
}
if (only !== "operation") {
  const loadAverage = load();
  const rows: ReshardRow[] = [];
  for (const size of reshardSizes) rows.push(...await measureReshards(size));
  print([
    table(
      ["t of n", "keys", "detection ms", "work ms", "ms per key", "floor ms per key", "ratio", "batches", "messages per batch", "bytes per batch"],
      rows.map((row) => [`${row.t} of ${row.n}`, row.keys, row.detection, row.work, row.msPerKey, row.floorMsPerKey, row.ratio, row.batches.length, row.messages, row.bytes]),
    ),
    `  SIGKILL of one box; lost after ${reshardTimes.lostMs} ms of silence; messages and bytes of the largest batch; load average ${loadAverage} at the start`,
  ], { reshard: { rows, times: reshardTimes, loadAverage } });
}
process.stdout.write(`  ${file}\n`);
process.exit();

import { parseArgs } from "node:util";
import { exitCodes } from "../../agent/runtime/config.ts";
import { nameOf, type Point } from "./point.ts";
import { killed, playPoint, type Played } from "./play.ts";
import { MatrixSite } from "./site.ts";

const usage = `npm run kill-matrix                      every party is killed before and after everything durable of a re-shard
npm run kill-matrix -- --json            one line of JSON on stdout
npm run kill-matrix -- --point K         replays one point, by its number or name; may be given again
npm run kill-matrix -- --list            only counts the points and names them
npm run kill-matrix -- --keep            the site's folder is kept, to look into its logs
`;

const say = (line: string): void => { process.stderr.write(`${line}\n`); };

/** All points, or those that were asked for. */
function chosen(all: readonly Point[], wanted: readonly string[]): (readonly [number, Point])[] {
  const numbered = all.map((point, i) => [i + 1, point] as const);
  const found = wanted.length === 0 ? numbered : numbered.filter(([number, point]) => wanted.includes(String(number)) || wanted.includes(nameOf(point)));
  if (found.length < wanted.length) throw new Error(`there are points 1 to ${all.length}; --list names them`);
  return found;
}

/** Whether all points must be known, or those of a burnt attempt. */
const needsBurnt = (wanted: readonly string[]): boolean => wanted.length === 0 || wanted.some((one) => /^(?:burnt: |\d+$)/.test(one));

/** One after the other on one site; one that failed leaves a site that nobody trusts, and the next gets the kept one. */
async function playAll(site: MatrixSite, points: readonly (readonly [number, Point])[]): Promise<Played[]> {
  const ended: Played[] = [];
  for (const [number, point] of points) {
    const end = await playPoint(site, point, number, killed(site));
    ended.push(end);
    say(`${end.ok ? "ok  " : "FAIL"} ${String(number).padStart(3)}  ${end.name} → ${end.error ?? (end.forward ? "went forward" : "burnt, then again")} (${end.ms} ms)`);
    if (!end.ok) {
      await site.stopAll();
      site.restore();
      await site.up();
    }
  }
  return ended;
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: {
    "json": { type: "boolean", default: false }, "point": { type: "string", multiple: true, default: [] }, "list": { type: "boolean", default: false },
    "keep": { type: "boolean", default: false }, "help": { type: "boolean", short: "h", default: false }, "setup-ran": { type: "string" },
  } });
  if (values.help) {
    process.stdout.write(usage);
    return exitCodes.ok;
  }
  const site = new MatrixSite();
  const stop = (): void => { void site.end(values.keep).finally(() => process.exit(130)); };
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  try {
    say(`building the site in ${site.folder} …`);
    await site.build();
    await site.up();
    const all = [...await site.count(), ...(needsBurnt(values.point) ? await site.countBurnt() : [])];
    say(`${all.length} points`);
    if (values.list) {
      process.stdout.write(`${all.map((point, i) => `${String(i + 1).padStart(4)}  ${nameOf(point)}`).join("\n")}\n`);
      return exitCodes.ok;
    }
    const ended = await playAll(site, chosen(all, values.point));
    const failed = ended.filter(({ ok }) => !ok).length;
    process.stdout.write(values.json ? `${JSON.stringify({ points: ended.length, failed, points_detail: ended })}\n` : `${ended.length} points, ${failed} failed\n`);
    return failed === 0 ? exitCodes.ok : exitCodes.failed;
  } finally {
    await site.end(values.keep);
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  say(`kill-matrix: ${String(error)}`);
  process.exitCode = exitCodes.failed;
}
process.exit();

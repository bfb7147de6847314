import { parseArgs } from "node:util";
import { exitCodes } from "../../agent/runtime/config.ts";
import { nameOf, type Point } from "../kill-matrix/point.ts";
import { playPoint, type Played } from "../kill-matrix/play.ts";
import { boxes } from "../kill-matrix/site.ts";
import { bareSoftHsm, type Control } from "./control.ts";
import { diskKinds, whyNot, type DiskKind } from "./disk.ts";
import { PowerSite } from "./site.ts";

const usage = `npm run power-cut                        the power fails at every durable point; needs root, ext4 and btrfs
npm run power-cut -- --json              one line of JSON on stdout
npm run power-cut -- --disk ext4         one kind of disk only
npm run power-cut -- --point NAME        replays one point, like 'box-1 after createSealKey'; may be given again
npm run power-cut -- --keep              the site's folder is kept, to look into its logs
`;

const say = (line: string): void => { process.stderr.write(`${line}\n`); };

interface Cut extends Played { readonly whole: boolean }
interface Report { readonly disk: DiskKind["name"]; readonly control: Control; readonly cuts: readonly Cut[] }

/** One box stands for all, as all have the same points; the coordinator's machine is the site's as well. */
const [cutBox = ""] = boxes;

/** A point before something durable is the one after what was durable before it. */
function cutsOf(all: readonly Point[]): { point: Point; number: number; whole: boolean }[] {
  const numbered = all.map((point, i) => ({ point, number: i + 1 })).filter(({ point }) => point.when === "after");
  return [
    ...numbered.filter(({ point }) => point.party === cutBox).flatMap((one) => [{ ...one, whole: false }, { ...one, whole: true }]),
    ...numbered.filter(({ point }) => point.party === "coordinator").map((one) => ({ ...one, whole: true })),
  ];
}

async function cutOn(kind: DiskKind, names: readonly string[], keep: boolean): Promise<Report> {
  const site = new PowerSite(kind);
  let stopping = false;
  const isStopping = (): boolean => stopping;
  const stop = (): void => {
    stopping = true;
    void site.end(keep).finally(() => process.exit(130));
  };
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  try {
    say(`${kind.name} (${kind.options}): building the site in ${site.folder} …`);
    await site.build();
    const control = await bareSoftHsm(kind, site.path("kept", cutBox), cutBox, site.path("control"));
    say(`      SoftHSM alone: a key just made is ${control.madeIsLost ? "lost" : "there"}, one just destroyed is ${control.destroyedIsBack ? "there again" : "gone"}`);
    await site.lay();
    await site.up();
    const cuts: Cut[] = [];
    const wanted = cutsOf(await site.count()).filter(({ point }) => names.length === 0 || names.includes(nameOf(point)));
    if (wanted.length === 0) throw new Error("there is no such point: npm run kill-matrix -- --list names them");
    for (const { point, number, whole } of wanted) {
      const end = { ...await playPoint(site, point, number, site.cut(whole)), whole };
      cuts.push(end);
      say(`${end.ok ? "ok  " : "FAIL"} ${kind.name}, ${whole ? "the whole site" : cutBox} ${nameOf(point).slice(point.party.length + 1)} (${point.party}) → ${end.error ?? (end.forward ? "went forward" : "burnt, then again")} (${end.ms} ms)`);
      if (isStopping()) break;
      if (!end.ok) {
        await site.lay();
        await site.up();
      }
    }
    return { disk: kind.name, control, cuts };
  } finally {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
    await site.end(keep);
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: {
    "json": { type: "boolean", default: false }, "disk": { type: "string" }, "point": { type: "string", multiple: true, default: [] }, "keep": { type: "boolean", default: false },
    "help": { type: "boolean", short: "h", default: false }, "setup-ran": { type: "string" },
  } });
  if (values.help) {
    process.stdout.write(usage);
    return exitCodes.ok;
  }
  const wanted = diskKinds.filter(({ name }) => values.disk === undefined || values.disk === name);
  const skipped: { disk: string; reason: string }[] = [];
  const reports: Report[] = [];
  for (const kind of wanted) {
    const reason = whyNot(kind);
    if (reason === null) reports.push(await cutOn(kind, values.point, values.keep));
    else {
      say(`skipped ${kind.name}: ${reason}`);
      skipped.push({ disk: kind.name, reason });
    }
  }
  const cuts = reports.flatMap((report) => report.cuts);
  const failed = cuts.filter(({ ok }) => !ok).length;
  // A disk on which SoftHSM alone loses nothing has shown nothing.
  const blunt = reports.filter(({ control }) => !control.madeIsLost).map(({ disk }) => disk);
  const summary = `${cuts.length} cuts, ${failed} failed${skipped.map(({ disk, reason }) => `; ${disk} skipped: ${reason}`).join("")}${blunt.map((disk) => `; ${disk} loses nothing here`).join("")}`;
  process.stdout.write(values.json ? `${JSON.stringify({ points: cuts.length, failed, skipped, disks: reports })}\n` : `${summary}\n`);
  return failed + blunt.length === 0 ? exitCodes.ok : exitCodes.failed;
}

try {
  process.exitCode = await main();
} catch (error) {
  say(`power-cut: ${String(error)}`);
  process.exitCode = exitCodes.failed;
}
process.exit();

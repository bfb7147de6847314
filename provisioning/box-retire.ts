import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { z } from "zod";
import type { Client } from "../agent/client/index.ts";
import { ClientError } from "../agent/client/errors.ts";
import { id } from "../agent/protocol/primitives.ts";
import { judgeBoxRequest } from "../agent/rules/joining.ts";
import { nextBody, withBox, withoutBox } from "../agent/rules/record-edits.ts";
import { ShardkeepError } from "../agent/runtime/errors.ts";
import { answerLines, approve, readRequest, type RequestFile } from "./box-approve.ts";
import { operating } from "./connected.ts";
import { dryRun, dryRunOption } from "./dry-run.ts";
import { requireAbsent, writeJson } from "./files.ts";
import { foresee, foreseeRecord, foreseeReshard } from "./foresee.ts";
import { argument, client, clientOption, command, optionsOf } from "./options.ts";
import { note, result } from "./output.ts";
import { changeRecord, linesOf, reason, reasonOption, stepOf, type Changed } from "./record-change.ts";
import type { Step } from "./steps.ts";

const lookMs = 500;
/** So long a box that is there may take to destroy its old shards; one that is gone never does. */
const destroyMs = 30_000;

/** With no more old holders than the threshold nothing is proven by the re-shard itself (protocol.md §7). */
const proveIt = "re-sharded by as few holders as the threshold; the new shards count when the key was used once: open something that is sealed with it";

interface Retired extends Changed {
  /** Keys of which old shards are not proven destroyed at the box. */
  readonly exposed: readonly string[];
  readonly steps: readonly Step[];
}

/** Looks again and again, and says on stderr what changes; ends when `look` has nothing more to wait for. */
async function until(signal: AbortSignal, look: () => Promise<string | undefined>): Promise<void> {
  let said = "";
  for (let line = await look(); line !== undefined; line = await look()) {
    if (line !== said) note(line);
    said = line;
    if (signal.aborted) throw new ClientError("CANCELLED", "nobody waits for it any more; what was begun goes on", { remedy: "the same command goes on with what is left; `shardkeep box readmit` takes a box back that was to retire" });
    await sleep(lookMs);
  }
}

/** Cut out of every key first, so that no key is weaker for it; then people take it out of the record. */
async function retire(one: Client, box: string, why: string, signal: AbortSignal): Promise<Retired> {
  const { body } = one.record;
  if (body.retired?.includes(box) === true) return done({ version: body.version, changes: [], code: null }, 0, []);
  const { record } = await one.request("box-retire", { box });
  if (!record.body.sealed) return done({ version: record.body.version, changes: [`- box ${box}`], code: null }, 0, []);
  let resharded = 0;
  await until(signal, async () => {
    const held = (await one.status()).keys.filter(({ holders }) => holders.includes(box));
    if (held.length === 0) return undefined;
    resharded = Math.max(resharded, held.length);
    const stuck = held.find(({ held: why }) => why !== null && why !== "window" && why !== "absent");
    if (stuck !== undefined) return `${held.length} key(s) wait: ${stuck.key} is held, ${String(stuck.held)}; join another box, or \`shardkeep key reshard ${stuck.key} --size\` (docs/operations.md). Ctrl-C ends the wait, the same command goes on`;
    const unproven = held.filter(({ reshard }) => reshard === "unproven");
    return unproven.length === 0 ? `${held.length} key(s) are re-sharded without ${box}` : `${unproven.map(({ key }) => key).join(", ")}: ${proveIt}`;
  });
  const exposedAt = async (): Promise<string[]> => (await one.status()).keys.filter(({ exposures }) => exposures.some(({ open }) => open.includes(box))).map(({ key }) => key);
  const patience = performance.now() + destroyMs;
  await until(signal, async () => ((await exposedAt()).length > 0 && performance.now() < patience ? `${box} destroys its old shards` : undefined));
  const exposed = await exposedAt();
  const made = await changeRecord(one, { edit: withoutBox(box), reason: why, unsealed: () => Promise.resolve(record) }, signal);
  return done(made, resharded, exposed);
}

const done = (made: Changed, keys: number, exposed: readonly string[]): Retired => ({
  ...made, exposed, steps: [keys === 0 ? { step: "re-sharding", state: "ok" } : { step: "re-sharding", state: "changed", keys }, stepOf(made)],
});

async function* retireSteps(one: Client, box: string): AsyncGenerator<Step> {
  const { body } = one.record;
  if (body.retired?.includes(box) !== true) {
    if (!body.boxes.some(({ id }) => id === box)) throw new ShardkeepError("UNKNOWN_BOX", `${box} is no box of this site`, { remedy: "`shardkeep status` lists the boxes" });
    yield await foreseeReshard(one, box);
    yield foreseeRecord(one, withoutBox(box));
  } else {
    yield { step: "record", state: "ok", version: body.version };
  }
}

function retiredLines(box: string, made: Retired): string[] {
  return [
    ...linesOf(made, `${box} has retired`),
    ...(made.exposed.length === 0 ? [] : [`${box} has not proven its old shards of ${made.exposed.join(", ")} destroyed: run \`shardkeep box reset\` at it, or destroy its HSM's token`]),
    "with Mosquitto: `shardkeep site acl --out FILE` and reload it; the embedded broker knows",
  ];
}

export function retireCommand(): Command {
  return command("retire", "take a box out of the site for good: out of every key, then out of the record; people approve that", ["box retire box-3 --dry-run", "box retire box-3 --reason 'the annex is closed'"])
    .argument("<box>")
    .addOption(reasonOption())
    .option(...dryRunOption)
    .option(...clientOption)
    .action(async (name: string, _: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...client, ...reason, ...dryRun }));
      const box = argument(from, "BOX", id, name);
      if (options.dryRun) return await foresee(options, { box }, (one) => retireSteps(one, box));
      const made = await operating(options.client, (one, signal) => retire(one, box, options.reason ?? `box retire ${box}`, signal));
      result(options.json, { box, ...made }, retiredLines(box, made));
    });
}

interface Replacing { readonly old: string; readonly request: RequestFile; readonly out: string }

/** The name of the new box, and whether its answer was written: that one is good as long as it lies there, another one would make it worthless. */
function newBox(one: Client, { old, request, out }: Replacing): { readonly id: string; readonly zone: string; readonly key: string; readonly isAnswered: boolean } {
  const { by, body } = judgeBoxRequest(request, one.record);
  if (by === old) throw new ShardkeepError("NAME_TAKEN", `the request is of ${old} itself`, { remedy: "give the new box another name: old shards go by the old one's" });
  const isAnswered = existsSync(out) && one.record.body.boxes.some((box) => box.id === by);
  if (!isAnswered) requireAbsent(out);
  return { id: by, zone: body.zone, key: body.key, isAnswered };
}

async function* replaceSteps(one: Client, replacing: Replacing): AsyncGenerator<Step> {
  const box = newBox(one, replacing);
  const isIn = foreseeRecord(one, withBox(box), `record: ${box.id} in`);
  yield isIn;
  yield { step: "answer", state: box.isAnswered ? "ok" : "would change", file: replacing.out };
  const { boxes } = await one.status();
  yield { step: `${box.id} ready`, state: boxes.some(({ box: id, state }) => id === box.id && state === "ready") ? "ok" : "would change" };
  if (one.record.body.retired?.includes(replacing.old) === true) return;
  yield await foreseeReshard(one, replacing.old, box);
  const then = isIn.state === "ok" ? one : { config: one.config, record: { ...one.record, body: nextBody(one.record, withBox(box)) } };
  yield foreseeRecord(then, withoutBox(replacing.old), `record: ${replacing.old} out`);
}

async function replace(one: Client, replacing: Replacing, why: string | undefined, signal: AbortSignal): Promise<{ next: string; made: Retired }> {
  const { old, request, out } = replacing;
  const { id: by, isAnswered } = newBox(one, replacing);
  const said = why ?? `box replace ${old} by ${by}`;
  if (!isAnswered) {
    const answer = await approve(one, request, said, signal);
    writeJson(out, answer);
    for (const line of answerLines(answer, out)) note(line);
  }
  await until(signal, async () => ((await one.status()).boxes.some(({ box, state }) => box === by && state === "ready") ? undefined : `waiting for ${by}: accept the answer there and start its agent`));
  const made = await retire(one, old, said, signal);
  return { next: by, made: { ...made, steps: [{ step: "answer", state: isAnswered ? "ok" : "changed", file: out }, ...made.steps] } };
}

/** Each half may be cut off, and the same command goes on with what is left to do. */
export function replaceCommand(): Command {
  return command("replace", "put a new box in the place of an old one: lets the new one in, waits for it, then retires the old one", [
    "box replace box-3 box-6.request.json --out box-6.answer.json --dry-run", "box replace box-3 box-6.request.json --out box-6.answer.json --reason 'fan broken'",
  ])
    .argument("<box>", "the old one")
    .argument("<request>", "file of `shardkeep box request` at the new one")
    .option("--out <file>", "where the answer for the new one goes")
    .addOption(reasonOption())
    .option(...dryRunOption)
    .option(...clientOption)
    .action(async (name: string, file: string, _: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...client, ...reason, ...dryRun, out: z.string() }));
      const old = argument(from, "BOX", id, name);
      const replacing = { old, request: readRequest(file), out: options.out };
      if (options.dryRun) return await foresee(options, { retired: old }, (one) => replaceSteps(one, replacing));
      const { next, made } = await operating(options.client, (one, signal) => replace(one, replacing, options.reason, signal));
      result(options.json, { box: next, retired: old, ...made }, [`${next} is in`, ...retiredLines(old, made)]);
    });
}

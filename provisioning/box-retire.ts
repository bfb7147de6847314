import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { z } from "zod";
import type { Client } from "../agent/client/index.ts";
import { ClientError } from "../agent/client/errors.ts";
import { id } from "../agent/protocol/primitives.ts";
import { judgeBoxRequest } from "../agent/rules/joining.ts";
import { withoutBox } from "../agent/rules/record-edits.ts";
import { ShardkeepError } from "../agent/runtime/errors.ts";
import { answerLines, approve, readRequest } from "./box-approve.ts";
import { operating } from "./connected.ts";
import { requireAbsent, writeJson } from "./files.ts";
import { argument, client, clientOption, command, optionsOf } from "./options.ts";
import { note, result } from "./output.ts";
import { changeRecord, linesOf, reason, reasonOption, type Changed } from "./record-change.ts";

const lookMs = 500;
/** So long a box that is there may take to destroy its old shards; one that is gone never does. */
const destroyMs = 30_000;

interface Retired extends Changed {
  /** Keys of which old shards are not proven destroyed at the box. */
  readonly exposed: readonly string[];
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
  if (body.retired?.includes(box) === true) return { version: body.version, changes: [], code: null, exposed: [] };
  const { record } = await one.request("box-retire", { box });
  if (!record.body.sealed) return { version: record.body.version, changes: [`- box ${box}`], code: null, exposed: [] };
  await until(signal, async () => {
    const held = (await one.status()).keys.filter(({ holders }) => holders.includes(box));
    if (held.length === 0) return undefined;
    const stuck = held.find(({ held: why }) => why !== null && why !== "window" && why !== "absent");
    return stuck === undefined ? `${held.length} key(s) are re-sharded without ${box}`
      : `${held.length} key(s) wait: ${stuck.key} is held, ${String(stuck.held)}; join another box, or \`shardkeep key reshard ${stuck.key} --size\` (docs/operations.md). Ctrl-C ends the wait, the same command goes on`;
  });
  const exposedAt = async (): Promise<string[]> => (await one.status()).keys.filter(({ exposures }) => exposures.some(({ open }) => open.includes(box))).map(({ key }) => key);
  const patience = performance.now() + destroyMs;
  await until(signal, async () => ((await exposedAt()).length > 0 && performance.now() < patience ? `${box} destroys its old shards` : undefined));
  const exposed = await exposedAt();
  const made = await changeRecord(one, { edit: withoutBox(box), reason: why, unsealed: () => Promise.resolve(record) }, signal);
  return { ...made, exposed };
}

function retiredLines(box: string, made: Retired): string[] {
  return [
    ...linesOf(made, `${box} has retired`),
    ...(made.exposed.length === 0 ? [] : [`${box} has not proven its old shards of ${made.exposed.join(", ")} destroyed: run \`shardkeep box reset\` at it, or destroy its HSM's token`]),
    "with Mosquitto: `shardkeep site acl --out FILE` and reload it; the embedded broker knows",
  ];
}

export function retireCommand(): Command {
  return command("retire", "take a box out of the site for good: out of every key, then out of the record; people approve that", ["box retire box-3", "box retire box-3 --reason 'the annex is closed'"])
    .argument("<box>")
    .addOption(reasonOption())
    .option(...clientOption)
    .action(async (name: string, _: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...client, ...reason }));
      const box = argument(from, "BOX", id, name);
      const made = await operating(options.client, (one, signal) => retire(one, box, options.reason ?? `box retire ${box}`, signal));
      result(options.json, { box, ...made }, retiredLines(box, made));
    });
}

/** Each half may be cut off, and the same command goes on with what is left to do. */
export function replaceCommand(): Command {
  return command("replace", "put a new box in the place of an old one: lets the new one in, waits for it, then retires the old one", [
    "box replace box-3 box-6.request.json --out box-6.answer.json --reason 'fan broken'",
  ])
    .argument("<box>", "the old one")
    .argument("<request>", "file of `shardkeep box request` at the new one")
    .option("--out <file>", "where the answer for the new one goes")
    .addOption(reasonOption())
    .option(...clientOption)
    .action(async (name: string, file: string, _: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...client, ...reason, out: z.string() }));
      const old = argument(from, "BOX", id, name);
      const request = readRequest(file);
      const { next, made } = await operating(options.client, async (one, signal) => {
        const { by } = judgeBoxRequest(request, one.record);
        if (by === old) throw new ShardkeepError("NAME_TAKEN", `the request is of ${old} itself`, { remedy: "give the new box another name: old shards go by the old one's" });
        // An answer that was written is good as long as it lies there: another one would make it worthless.
        const isAnswered = existsSync(options.out) && one.record.body.boxes.some((box) => box.id === by);
        if (!isAnswered) {
          requireAbsent(options.out);
          const answer = await approve(one, request, options.reason ?? `box replace ${old} by ${by}`, signal);
          writeJson(options.out, answer);
          for (const line of answerLines(answer, options.out)) note(line);
        }
        await until(signal, async () => ((await one.status()).boxes.some(({ box, state }) => box === by && state === "ready") ? undefined : `waiting for ${by}: accept the answer there and start its agent`));
        return { next: by, made: await retire(one, old, options.reason ?? `box replace ${old} by ${by}`, signal) };
      });
      result(options.json, { box: next, retired: old, ...made }, [`${next} is in`, ...retiredLines(old, made)]);
    });
}

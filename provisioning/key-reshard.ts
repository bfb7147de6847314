import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { z } from "zod";
import type { Client } from "../agent/client/index.ts";
import type { KeyRecord } from "../agent/protocol/key-record.ts";
import { id, label } from "../agent/protocol/primitives.ts";
import type { ReshardParameters } from "../agent/protocol/request.ts";
import { connected, operating } from "./connected.ts";
import { argument, client, clientOption, command, helpOf, list, optionsOf } from "./options.ts";
import { note, result, UsageError } from "./output.ts";
import { waiting } from "./progress.ts";

/** Longer than an attempt that waits for a silent box, and the next one without it. */
const reshardMs = 300_000;
const lookMs = 500;

const phases = { planned: "the holders deal new shards", unproven: "too few old holders could witness: the next use of the key must prove the new shards", certified: "every new shard is stored; they come into force", burning: "an attempt failed and is given up; another follows", resolving: "people have said which boxes are gone, and the others answer" };

/** Asks, and says on stderr how far it is: several seconds are usual, a silent box makes it more. */
async function order(client: Client, key: string): Promise<KeyRecord> {
  const asked = client.request("key-reshard", { key }, { deadlineMs: reshardMs });
  const ended = asked.then(() => true, () => true);
  let said = "";
  while (!await Promise.race([ended, sleep(lookMs, false)])) {
    const { keys } = await client.status();
    const { reshard: phase = null, held = null } = keys.find((one) => one.key === key) ?? {};
    const line = `re-sharding ${key}: ${phase !== null ? phases[phase] : held !== null ? `waits, held: ${held}` : "asked for"}`;
    if (line !== said) note(line);
    said = line;
  }
  return (await asked).record;
}

/** With other numbers or holders: people approve it, as they do every other operation. */
async function change(file: string, key: string, wanted: ReshardParameters, reason: string): Promise<{ record: KeyRecord; code: string }> {
  const shown = waiting();
  try {
    return await operating(file, (one, signal) => one.reshard({ key, reason, wanted }, { onProgress: shown.show, signal }));
  } finally {
    shown.end();
  }
}

const number = (least: number, most: number) => z.string().regex(/^[0-9]{1,3}$/, `a number, ${least} to ${most}`).transform(Number).pipe(z.int().min(least).max(most)).optional();
const reshardOptions = z.strictObject({
  ...client, threshold: number(2, 255), size: number(3, 255), margin: number(0, 8), holder: z.array(id).max(255), reason: z.string().min(1).max(200).optional(),
})
  .refine(({ holder }) => new Set(holder).size === holder.length, { path: ["holder"], message: "a box stands twice" })
  .refine(({ holder }) => holder.length === 0 || holder.length >= 3, { path: ["holder"], message: "name all holders of the new shards, at least three" });

export function reshardCommand(): Command {
  return command("reshard", "give the holders new shards of the same key now; what the old ones are worth ends with them", [
    "key reshard payroll", "key reshard payroll --json --client admin/client.yaml",
    "key reshard payroll --threshold 2 --size 4 --reason 'one office less'",
    "key reshard payroll --holder box-1 --holder box-2 --holder box-6 --holder box-7",
  ])
    .argument("<name>")
    .option("--threshold <t>", "how many holders can serve from now on; with this or one of the next people approve it")
    .option("--size <n>", "how many holders; the coordinator chooses who leaves, or which spares come")
    .option("--margin <m>", "how many holders more than the threshold there must always be")
    .option("--holder <box>", "exactly these boxes, repeated for each", list, [])
    .option("--reason <text>", "shown to the people who approve")
    .option(...clientOption)
    .action(async (name: string, _: unknown, from: Command) => {
      const { json, client: file, holder, reason, ...numbers } = optionsOf(from, reshardOptions);
      const key = argument(from, "NAME", label, name);
      const wanted: ReshardParameters = { ...numbers, ...(holder.length === 0 ? {} : { holders: holder }) };
      const isChange = Object.values(wanted).some((one) => one !== undefined);
      if (!isChange && reason !== undefined) throw new UsageError("USAGE", "--reason is for people, who are asked only for another threshold, size, margin or holders", { remedy: helpOf(from) });
      const { record, code } = isChange ? await change(file, key, wanted, reason ?? `re-shard key ${key}`)
        : { record: await connected(file, (one) => order(one, key)), code: undefined };
      const { epoch, attempt, threshold, size, margin } = record;
      const holders = record.holders.map(({ box }) => box);
      result(json, { key, epoch, attempt, threshold, holders, ...(code === undefined ? {} : { size, margin, code }) }, [
        `key ${key}: epoch ${epoch}, ${threshold} of ${holders.length}, held by ${holders.join(", ")}`,
        "`shardkeep status` shows who has not yet proven the old shards destroyed",
      ]);
    });
}

import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { z } from "zod";
import type { Client } from "../agent/client/index.ts";
import { label } from "../agent/protocol/primitives.ts";
import { connected } from "./connected.ts";
import { argument, client, clientOption, command, optionsOf } from "./options.ts";
import { note, result } from "./output.ts";

/** Longer than an attempt that waits for a silent box, and the next one without it. */
const reshardMs = 300_000;
const lookMs = 500;

const phases = { planned: "the holders deal new shards", unproven: "too few old holders could witness: the next use of the key must prove the new shards", certified: "every new shard is stored; they come into force", burning: "an attempt failed and is given up; another follows" };

/** Asks, and says on stderr how far it is: several seconds are usual, a silent box makes it more. */
async function reshard(client: Client, key: string) {
  const asked = client.request("key-reshard", { key }, { deadlineMs: reshardMs });
  const ended = asked.then(() => true, () => true);
  let said = "";
  while (!await Promise.race([ended, sleep(lookMs, false)])) {
    const { keys } = await client.request("status", {});
    const { reshard: phase = null, held = null } = keys.find((one) => one.key === key) ?? {};
    const line = `re-sharding ${key}: ${phase !== null ? phases[phase] : held !== null ? `waits, held: ${held}` : "asked for"}`;
    if (line !== said) note(line);
    said = line;
  }
  return await asked;
}

export function reshardCommand(): Command {
  return command("reshard", "give the holders new shards of the same key now; what the old ones are worth ends with them", [
    "key reshard payroll", "key reshard payroll --json --client admin/client.yaml",
  ])
    .argument("<name>")
    .option(...clientOption)
    .action(async (name: string, _: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject(client));
      const key = argument(from, "NAME", label, name);
      const { record } = await connected(options.client, (one) => reshard(one, key));
      const { epoch, attempt, threshold } = record;
      const holders = record.holders.map(({ box }) => box);
      result(options.json, { key, epoch, attempt, threshold, holders }, [
        `key ${key}: epoch ${epoch}, ${threshold} of ${holders.length}, held by ${holders.join(", ")}`,
        "`shardkeep status` shows who has not yet proven the old shards destroyed",
      ]);
    });
}

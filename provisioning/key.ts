import type { Command } from "commander";
import { z } from "zod";
import { id, label } from "../agent/protocol/primitives.ts";
import { mostImported } from "../agent/protocol/key-record.ts";
import { wipe } from "../agent/runtime/secrets.ts";
import { connected, operating } from "./connected.ts";
import { exposureTable } from "./exposures.ts";
import { readPayload } from "./files.ts";
import { recoverCommand } from "./key-recover.ts";
import { reshardCommand } from "./key-reshard.ts";
import { argument, client, clientOption, command, group, optionsOf } from "./options.ts";
import { result, table } from "./output.ts";
import { waiting } from "./progress.ts";

/** `a,b,c` as given; `--threshold` as a number. */
const holders = z.string().transform((text) => text.split(",")).pipe(z.array(id).min(2).max(255));
const threshold = z.string().regex(/^[0-9]{1,3}$/, "a number, 2 to 255").transform(Number).pipe(z.int().min(2).max(255));
const createOptions = z.strictObject({ ...client, threshold, holders, import: z.string().optional(), reason: z.string().min(1).max(200).optional() })
  .refine(({ threshold: t, holders: all }) => t <= all.length, { path: ["threshold"], message: "more than there are holders" })
  .refine(({ holders: all }) => new Set(all).size === all.length, { path: ["holders"], message: "a box stands twice" });

function createCommand(): Command {
  return command("create", "make a key and split it over boxes; nobody ever has it", [
    "key create payroll --threshold 3 --holders box-1,box-2,box-3,box-4,box-5",
    "key create old-secret --threshold 2 --holders box-1,box-2,box-3 --import secret.bin",
  ])
    .argument("<name>")
    .option("--threshold <t>", "how many holders can serve")
    .option("--holders <boxes>", "comma-separated")
    .option("--import <file>", `a secret to keep under the new key, at most ${mostImported / 1024} KiB; - is stdin`)
    .option("--reason <text>", "shown to the people who approve")
    .option(...clientOption)
    .action(async (name: string, _: unknown, from: Command) => {
      const options = optionsOf(from, createOptions);
      const key = argument(from, "NAME", label, name);
      const payload = options.import === undefined ? new Uint8Array() : await readPayload(options.import, mostImported);
      const shown = waiting();
      try {
        const { result: nothing, code } = await operating(options.client, (one, signal) => one.use({
          key, operation: "create", resource: key, reason: options.reason ?? `create key ${key}`, payload,
          create: { kind: "aes-256", threshold: options.threshold, holders: options.holders, imported: options.import !== undefined },
        }, { onProgress: shown.show, signal }));
        wipe(nothing);
        result(options.json, { key, threshold: options.threshold, holders: options.holders, code }, [`key ${key}: ${options.threshold} of ${options.holders.length}, held by ${options.holders.join(", ")}`]);
      } finally {
        shown.end();
        wipe(payload);
      }
    });
}

function listCommand(): Command {
  return command("list", "the site's keys", ["key list"])
    .option(...clientOption)
    .action(async (_: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject(client));
      const { keys } = await connected(options.client, (one) => one.status());
      result(options.json, { keys }, table(["KEY", "KIND", "THRESHOLD", "EPOCH", "HOLDERS"], keys.map((key) => [key.key, key.kind, `${key.threshold} of ${key.holders.length}`, key.epoch, key.holders.join(", ")])));
    });
}

function showCommand(): Command {
  return command("show", "a key's record, who prepared it, and what is left of past epochs; all of it is public", ["key show payroll --json"])
    .argument("<name>")
    .option(...clientOption)
    .action(async (name: string, _: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject(client));
      const key = argument(from, "NAME", label, name);
      const [certified, { keys }] = await connected(options.client, async (one) => [await one.request("key-show", { key }), await one.status()] as const);
      const { record, prepared } = certified;
      const past = keys.filter((one) => one.key === key);
      const made = "plan" in certified ? `re-sharded (${certified.plan.body.reason})` : "born";
      result(options.json, { ...certified, reshard: past[0]?.reshard ?? null, exposures: past.flatMap(({ exposures }) => exposures) }, [
        `key ${record.key}: ${record.kind}, version ${record.version}, epoch ${record.epoch}, attempt ${record.attempt}, ${record.threshold} of ${record.holders.length}${record.imported === null ? "" : ", with an imported secret"}`,
        ...(past.some(({ reshard }) => reshard === "unproven") ? ["a re-shard is unproven: the next use of the key must show that its new shards are of the same key"] : []),
        `${made}, prepared by ${prepared.map(({ by }) => by).join(", ")}`,
        `check value ${record.check}`,
        "",
        ...table(["HOLDER", "X", "SHARD DIGEST"], record.holders.map(({ box, x, digest }) => [box, x, digest])),
        ...exposureTable(past),
      ]);
    });
}

export function keyCommand(): Command {
  return group("key", "protected keys", [createCommand(), listCommand(), showCommand(), reshardCommand(), recoverCommand()]);
}

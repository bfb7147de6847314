import type { Command } from "commander";
import { z } from "zod";
import { id, label } from "../agent/protocol/primitives.ts";
import { operating } from "./connected.ts";
import { argument, client, clientOption, command, list, optionsOf } from "./options.ts";
import { note, result } from "./output.ts";
import { waiting } from "./progress.ts";

const recoverOptions = z.strictObject({ ...client, gone: z.array(id).min(1, "name at least one box").max(255), reason: z.string().min(1).max(200).optional() })
  .refine(({ gone }) => new Set(gone).size === gone.length, { path: ["gone"], message: "a box stands twice" });

export function recoverCommand(): Command {
  return command("recover", "end a re-shard that can not end because boxes are gone for good; people approve it", [
    "key recover payroll --gone box-3", "key recover payroll --gone box-3 --gone box-4 --reason 'the north office burnt down' --json",
  ])
    .argument("<name>")
    .requiredOption("--gone <box>", "a box that takes part and will never answer again, repeated for each; every other one must be there, and answers this list only, for ever", list, [])
    .option("--reason <text>", "shown to the people who approve")
    .option(...clientOption)
    .action(async (name: string, _: unknown, from: Command) => {
      const { json, client: file, gone, reason } = optionsOf(from, recoverOptions);
      const key = argument(from, "NAME", label, name);
      const shown = waiting();
      note(`${gone.join(", ")} gone for good: every other box will be asked, and answers once`);
      try {
        const { record, code, isForward } = await operating(file, (one, signal) => one.recover({ key, gone, reason: reason ?? `end the re-shard of key ${key} without ${gone.join(" ")}`.slice(0, 200) }, { onProgress: shown.show, signal }));
        const { epoch, attempt, threshold } = record;
        const holders = record.holders.map(({ box }) => box);
        result(json, { key, gone, ended: isForward ? "forward" : "back", epoch, attempt, threshold, holders, code }, [
          `key ${key}: ${isForward ? "the new shards are in force" : "the re-shard is given up, the shards before it are the key's"}; epoch ${epoch}, ${threshold} of ${holders.length}, held by ${holders.join(", ")}`,
          "`shardkeep status` shows what is left of it; a lost holder is replaced by the next re-shard",
        ]);
      } finally {
        shown.end();
      }
    });
}

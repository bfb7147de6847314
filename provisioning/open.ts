import { basename } from "node:path";
import type { Command } from "commander";
import { z } from "zod";
import { openFile } from "../agent/client/files.ts";
import { operating } from "./connected.ts";
import { client, clientOption, command, helpOf, optionsOf } from "./options.ts";
import { result, UsageError } from "./output.ts";
import { waiting } from "./progress.ts";
import { sealedEnding } from "./seal.ts";

const options = z.strictObject({ ...client, reason: z.string().min(1).max(200).optional(), out: z.string().optional() });

export function openCommand(): Command {
  return command("open", "open a sealed file; a damaged one leaves nothing", ["open march.csv.sealed", "open march.csv.sealed --out /tmp/march.csv --reason audit"])
    .argument("<file>", "its first line says key and resource: head -1 FILE")
    .option("--reason <text>", "shown to the people who approve (default: the file's name)")
    .option("--out <file>", `the plain file (default: FILE without ${sealedEnding})`)
    .option(...clientOption)
    .action(async (file: string, _: unknown, from: Command) => {
      const { json, reason = `open ${basename(file)}`.slice(0, 200), out = plainName(file), client: who } = optionsOf(from, options);
      if (out === undefined) throw new UsageError("USAGE", `--out: is needed, since ${file} does not end in ${sealedEnding}`, { remedy: helpOf(from) });
      const shown = waiting();
      try {
        await operating(who, (one, signal) => openFile(one, file, out, { reason }, { onProgress: shown.show, signal }));
      } finally {
        shown.end();
      }
      result(json, { file, out }, [`${out} is open`]);
    });
}

function plainName(file: string): string | undefined {
  return file.endsWith(sealedEnding) && file.length > sealedEnding.length ? file.slice(0, -sealedEnding.length) : undefined;
}

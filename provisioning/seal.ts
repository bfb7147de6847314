import { basename } from "node:path";
import type { Command } from "commander";
import { z } from "zod";
import { sealFile } from "../agent/client/files.ts";
import { label, resource } from "../agent/protocol/primitives.ts";
import { operating } from "./connected.ts";
import { client, clientOption, command, optionsOf } from "./options.ts";
import { result } from "./output.ts";
import { waiting } from "./progress.ts";

/** What a sealed file is called beside its original. */
export const sealedEnding = ".sealed";
const options = z.strictObject({ ...client, key: label, resource, reason: z.string().min(1).max(200).optional(), out: z.string().optional() });

export function sealCommand(): Command {
  return command("seal", "seal a file of any size under a key", ["seal march.csv --key payroll --resource payroll/2026/march"])
    .argument("<file>")
    .option("--key <name>", "the key")
    .option("--resource <path>", "what it is; it opens under this resource only")
    .option("--reason <text>", "shown to the people who approve (default: the file's name)")
    .option("--out <file>", `the sealed file (default: FILE${sealedEnding})`)
    .option(...clientOption)
    .action(async (file: string, _: unknown, from: Command) => {
      const { json, key, resource: about, reason = `seal ${basename(file)}`.slice(0, 200), out = `${file}${sealedEnding}`, client: who } = optionsOf(from, options);
      const shown = waiting();
      try {
        await operating(who, (one, signal) => sealFile(one, file, out, { key, resource: about, reason }, { onProgress: shown.show, signal }));
      } finally {
        shown.end();
      }
      result(json, { file, out, key, resource: about }, [`${out} is sealed under ${key}, ${about}`]);
    });
}

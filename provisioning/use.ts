import type { Command } from "commander";
import { z } from "zod";
import { label, resource } from "../agent/protocol/primitives.ts";
import { wipe } from "../agent/runtime/secrets.ts";
import { operating } from "./connected.ts";
import { readPayload, requireAbsent, write } from "./files.ts";
import { argument, client, clientOption, command, helpOf, optionsOf } from "./options.ts";
import { result, UsageError } from "./output.ts";
import { waiting } from "./progress.ts";

const operation = z.enum(["encrypt", "decrypt", "wrap", "unwrap", "mac"]);
const options = z.strictObject({ ...client, key: label, resource, reason: z.string().min(1).max(200), in: z.string().default("-"), out: z.string().default("-") });

export function useCommand(): Command {
  return command("use", "one operation with a key on at most 64 KiB", [
    "use encrypt --key payroll --resource payroll/2026 --reason 'monthly run' --in plain --out sealed",
    "use decrypt --key payroll --resource payroll/2026 --reason audit < sealed > plain",
  ])
    .argument("<operation>", operation.options.join(", "))
    .option("--key <name>", "the key")
    .option("--resource <path>", "what it is about; a ciphertext opens under its own resource only")
    .option("--reason <text>", "shown to the people who approve")
    .option("--in <file>", "input (default: - for stdin)")
    .option("--out <file>", "output (default: - for stdout)")
    .option(...clientOption)
    .action(async (name: string, _: unknown, from: Command) => {
      const { json, key, resource: about, reason, in: input, out, client: file } = optionsOf(from, options);
      const wanted = argument(from, "OPERATION", operation, name);
      // A result may be secret: it never becomes text in a JSON document.
      if (json && out === "-") throw new UsageError("USAGE", "--json needs stdout for itself: name a file with --out", { remedy: helpOf(from) });
      if (out !== "-") requireAbsent(out);
      const payload = await readPayload(input);
      const shown = waiting();
      try {
        const { result: output, code } = await operating(file, (one, signal) => one.use({ key, operation: wanted, resource: about, reason, payload }, { onProgress: shown.show, signal }));
        shown.end();
        try {
          if (out === "-") await new Promise<void>((resolve) => { process.stdout.write(output, () => { resolve(); }); });
          else write(out, output);
        } finally {
          wipe(output);
        }
        if (out !== "-") result(json, { operation: wanted, key, resource: about, code, out }, [`${out} is written`]);
      } finally {
        shown.end();
        wipe(payload);
      }
    });
}

import type { Command } from "commander";
import { z } from "zod";
import { requireAbsent, write } from "./files.ts";
import { command, configOption, json, optionsOf } from "./options.ts";
import { result } from "./output.ts";

export function labelCommand(): Command {
  return command("label", "what to stick on this box: its site, name and key's fingerprint as a QR code; nothing secret", ["box label --config box-1.yaml", "box label --config box-1.yaml --out box-1.png"])
    .option(...configOption)
    .option("--out <file>", "a PNG of the QR code")
    .action(async (_: unknown, from: Command) => {
      const { json: isJson, config, out } = optionsOf(from, z.strictObject({ ...json, config: z.string(), out: z.string().optional() }));
      const [{ readBoxInstallation }, { labelLines, labelOf, labelPng, labelText, short }] = await Promise.all([import("./machine/installation.ts"), import("./machine/label.ts")]);
      const box = readBoxInstallation(config);
      if (out !== undefined) requireAbsent(out);
      const label = await labelOf(box);
      if (out !== undefined) write(out, labelPng(label));
      result(isJson, { ...label, short: short(label), text: labelText(label), ...(out === undefined ? {} : { out }) }, [
        ...(out === undefined ? labelLines(label) : [`QR code: ${out}`]),
        `${label.box} of site ${label.site}   ${short(label)}`, `key ${label.fingerprint}`,
      ]);
    });
}

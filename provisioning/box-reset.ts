import type { Command } from "commander";
import { z } from "zod";
import { command, configOption, json, optionsOf } from "./options.ts";
import { note, result, UsageError } from "./output.ts";
import type { ResetStep } from "./machine/reset.ts";

export function resetCommand(): Command {
  return command("reset", "destroy what this box holds, for good: keys, store, certificates; for one that has retired, or is to join anew", ["box reset --config box-3.yaml --dry-run --yes box-3", "box reset --config box-3.yaml --yes box-3"])
    .option(...configOption)
    .option("--yes <box>", "the name of this very box: what is destroyed comes back from no backup but yours")
    .option("--dry-run", "say what would be destroyed, and destroy nothing", false)
    .action(async (_: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...json, config: z.string(), yes: z.string(), dryRun: z.boolean() }));
      const [{ readBoxInstallation }, { resetBox }] = await Promise.all([import("./machine/installation.ts"), import("./machine/reset.ts")]);
      const box = readBoxInstallation(options.config);
      if (options.yes !== box.name) throw new UsageError("USAGE", `this is ${box.name}, not ${options.yes}: nothing was destroyed`, { remedy: `if ${box.name} is really to be destroyed: --yes ${box.name}` });
      const steps: ResetStep[] = [];
      await resetBox(box, options.dryRun, (step) => {
        steps.push(step);
        note(`${step.state.padEnd(12)}  ${step.step}`);
      });
      result(options.json, { box: box.name, steps, left: [box.file] }, options.dryRun ? ["nothing was destroyed"] : [
        `${box.name} holds nothing any more; left: ${box.file}`,
        ...(box.hsm.softhsmConf === undefined ? [] : ["its keys were files: an image of the disk that somebody has still holds them. A key of which it held a shard is safe once it was re-sharded without this box"]),
        `if it has not retired yet: shardkeep box retire ${box.name}, at a client`,
      ]);
    });
}

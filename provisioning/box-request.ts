import type { Command } from "commander";
import { z } from "zod";
import { answers, answersOption, settle } from "./answers.ts";
import { dryRun, dryRunOption, rehearsal } from "./dry-run.ts";
import { command, configOption, json, optionsOf } from "./options.ts";
import { result } from "./output.ts";
import { provision } from "./programs.ts";

export function requestCommand(): Command {
  return command("request", "make this box's token, keys and store, and write its request to join", ["box request --config box-1.yaml --out /media/stick/box-1.request.json", "box request --config box-1.yaml --answers box-1.answers.yaml --out box-1.request.json --dry-run"])
    .option(...configOption)
    .option("--out <file>", "where the request goes; it holds nothing secret")
    .option(...answersOption)
    .option(...dryRunOption)
    .action(async (_: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...json, ...dryRun, ...answers, config: z.string(), out: z.string() }));
      const settled = await settle("box", options.config, options.answers, options.dryRun);
      const args = ["request", "--config", settled.config, "--out", options.out];
      if (options.dryRun) return await rehearsal(options.json, "boxJoin", args, settled);
      const steps = [...settled.steps, ...await provision("boxJoin", args)];
      result(options.json, { steps }, [`next, at the coordinator: shardkeep site approve ${options.out} --out ANSWER`]);
    });
}

export function acceptCommand(): Command {
  return command("accept", "take the site's answer: challenge secret, certificate, site record", ["box accept box-1.answer.json --config box-1.yaml --authority FINGERPRINT"])
    .argument("<answer>", "file of `shardkeep site approve`")
    .option(...configOption)
    .option("--authority <key>", "the site authority's fingerprint or key; without it the first one is believed, and shown")
    .option(...dryRunOption)
    .action(async (file: string, _: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...json, ...dryRun, config: z.string(), authority: z.string().optional() }));
      // One word: a fingerprint is base64url, and one in 64 begins with a dash.
      const args = ["accept", file, "--config", options.config, ...(options.authority === undefined ? [] : [`--authority=${options.authority}`])];
      if (options.dryRun) return await rehearsal(options.json, "boxJoin", args, { config: options.config, steps: [] });
      const steps = await provision("boxJoin", args);
      const authority = steps.find(({ step }) => step === "authority");
      result(options.json, { steps }, [
        ...(authority?.["trust"] === "first use" ? [`nobody compared the authority: \`shardkeep site show\` must say ${String(authority["fingerprint"])}`] : []),
        `next: shardkeep agent --config ${options.config}`,
      ]);
    });
}

import { text } from "node:stream/consumers";
import { createInterface } from "node:readline/promises";
import type { Command } from "commander";
import { z } from "zod";
import { answers, answersOption, settle } from "./answers.ts";
import { dryRun, dryRunOption, rehearsal } from "./dry-run.ts";
import { command, configOption, json, optionsOf } from "./options.ts";
import { result } from "./output.ts";
import { provision } from "./programs.ts";

/** A secret for an hour: typed or piped, never an argument that others on this machine can read. */
async function askCode(): Promise<string> {
  if (!process.stdin.isTTY) return await text(process.stdin);
  const line = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await line.question("code of `shardkeep site invite`: ");
  } finally {
    line.close();
  }
}

export function joinCommand(): Command {
  return command("join", "join a site over the network: makes token, keys and store, asks the coordinator, takes its answer; the code is typed, or comes on stdin", [
    "box join --config /etc/shardkeep/box-6.yaml --at 10.0.0.2:8885", "box join --config box-6.yaml --at 10.0.0.2:8885 --dry-run",
  ])
    .option(...configOption)
    .option("--at <host:port>", "where the coordinator listens: its `join.listen`")
    .option(...answersOption)
    .option(...dryRunOption)
    .action(async (_: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...json, ...dryRun, ...answers, config: z.string(), at: z.string().regex(/^.+:[0-9]{1,5}$/, "HOST:PORT") }));
      const settled = await settle("box", options.config, options.answers, options.dryRun);
      const args = ["join", "--config", settled.config, "--at", options.at];
      if (options.dryRun) return await rehearsal(options.json, "boxJoin", args, settled);
      const steps = [...settled.steps, ...await provision("boxJoin", args, await askCode())];
      result(options.json, { steps }, [`next: shardkeep agent --config ${options.config}`]);
    });
}

export function planCommand(): Command {
  return command("plan", "say what joining with this configuration would do here, step by step, and what is missing for it; changes nothing, asks nobody", [
    "box plan --config /etc/shardkeep/box-6.yaml", "box plan --config box-6.yaml --answers box-6.answers.yaml --json",
  ])
    .option(...configOption)
    .option(...answersOption)
    .action(async (_: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...json, ...answers, config: z.string() }));
      const settled = await settle("box", options.config, options.answers, true);
      await rehearsal(options.json, "boxJoin", ["join", "--config", settled.config], settled);
    });
}

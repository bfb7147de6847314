import type { Command } from "commander";
import { command, configOption } from "./options.ts";
import { become } from "./programs.ts";

export function agentCommand(): Command {
  return command("agent", "run a box: heartbeat, evidence, challenges, shards", ["agent --config /etc/shardkeep/box-1.yaml"])
    .option(...configOption)
    .action(() => become("agent"));
}

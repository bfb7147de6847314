import type { Command } from "commander";
import { command, configOption } from "./options.ts";
import { become } from "./programs.ts";

export function coordinatorCommand(): Command {
  return command("coordinator", "run the attestation service, and its broker where the configuration says `listen`", ["coordinator --config /etc/shardkeep/coordinator.yaml"])
    .option(...configOption)
    .action(() => become("coordinator"));
}

import { Command, CommanderError } from "commander";
import { exitCodes } from "../agent/runtime/config.ts";
import { version } from "../agent/runtime/version.ts";
import { agentCommand } from "./agent.ts";
import { backupCommand, restoreCommand } from "./backup.ts";
import { boxCommand } from "./box.ts";
import { clientCommand } from "./client.ts";
import { coordinatorCommand } from "./coordinator.ts";
import { demoCommand } from "./demo.ts";
import { doctorCommand } from "./doctor.ts";
import { keyCommand } from "./key.ts";
import { openCommand } from "./open.ts";
import { exitCodeFor, reportFailure, UsageError } from "./output.ts";
import { personCommand } from "./person.ts";
import { sealCommand } from "./seal.ts";
import { siteCommand } from "./site.ts";
import { statusCommand } from "./status.ts";
import { supportBundleCommand } from "./support-bundle.ts";
import { useCommand } from "./use.ts";

/** The `shardkeep` command. */
function shardkeep(): Command {
  const program = new Command("shardkeep")
    .description("Splits a master key over a fleet of small appliances; usable only with people present.")
    .version(version)
    .enablePositionalOptions()
    .addHelpText("after", "\nEvery command has its own --help with examples. Exit codes: 0 done, 1 failed, 64 usage, 65 bad data,\n69 not reachable, 70 internal, 75 try again, 77 refused, 78 bad configuration.");
  for (const made of [
    siteCommand(), boxCommand(), clientCommand(), personCommand(), keyCommand(), sealCommand(), openCommand(), useCommand(), statusCommand(),
    agentCommand(), coordinatorCommand(), doctorCommand(), backupCommand(), restoreCommand(), supportBundleCommand(), demoCommand(),
  ]) program.addCommand(made);
  throwing(program);
  return program;
}

/** Commander's own errors come to us, for every command below. */
function throwing(one: Command): void {
  one.exitOverride().configureOutput({ outputError: () => undefined });
  for (const child of one.commands) throwing(child);
}

function failureOf(error: unknown): unknown {
  if (!(error instanceof CommanderError)) return error;
  return new UsageError("USAGE", error.message.replace(/^error: /, ""), { remedy: "shardkeep --help" });
}

const shown = new Set(["commander.helpDisplayed", "commander.version"]);

/** Runs one command line, without the program's name; gives its exit code. */
export async function runCli(args: readonly string[]): Promise<number> {
  try {
    await shardkeep().parseAsync(args, { from: "user" });
    return exitCodes.ok;
  } catch (error) {
    if (error instanceof CommanderError && shown.has(error.code)) return exitCodes.ok;
    if (error instanceof CommanderError && error.code === "commander.help") return exitCodes.usage; // commander has shown the help of the group
    const failure = failureOf(error);
    reportFailure(args.includes("--json"), failure);
    return exitCodeFor(failure);
  }
}

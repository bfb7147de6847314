import type { Command } from "commander";
import { command } from "./options.ts";
import { UsageError } from "./output.ts";
import { isIncluded, run } from "./programs.ts";

/** Its options are its own: all that follows is handed on. */
export function demoCommand(): Command {
  return command("demo", "a whole site on this machine: real processes, emulated sensors", ["demo", "demo --scenario replayed-evidence", "demo --interactive"])
    .argument("[args...]")
    .allowUnknownOption()
    .passThroughOptions()
    .helpOption(false)
    .action(async () => {
      if (!isIncluded("demo")) throw new UsageError("USAGE", "the demo and its emulated sensors are not in the installed package", { remedy: "clone the project, then npm run demo" });
      process.exitCode = await run("demo", process.argv.slice(process.argv.indexOf("demo") + 1));
    });
}

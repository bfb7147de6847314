import type { Command } from "commander";
import { command } from "./options.ts";
import { run } from "./programs.ts";

/** Its options are its own: all that follows is handed on. */
export function demoCommand(): Command {
  return command("demo", "a whole site on this machine: real processes, emulated sensors", ["demo", "demo --scenario replayed-evidence", "demo --interactive"])
    .argument("[args...]")
    .allowUnknownOption()
    .passThroughOptions()
    .helpOption(false)
    .action(async () => { process.exitCode = await run("demo", process.argv.slice(process.argv.indexOf("demo") + 1)); });
}

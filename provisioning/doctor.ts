import type { Command } from "commander";
import { z } from "zod";
import { exitCodes } from "../agent/runtime/config.ts";
import { command, json, optionsOf } from "./options.ts";
import { result } from "./output.ts";

export function doctorCommand(): Command {
  return command("doctor", "find what is wrong on this machine, and what mends it; changes nothing", ["doctor --config box-1.yaml", "doctor --json", "doctor --config coordinator.yaml"])
    .option("--config <file>", "a box's or a coordinator's configuration; without it only the machine is looked at")
    .action(async (_: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...json, config: z.string().optional() }));
      const [{ readInstallation }, { diagnose }, { findingLines, isHealthy }] = await Promise.all([import("./machine/installation.ts"), import("./doctor/doctor.ts"), import("./doctor/check.ts")]);
      const findings = await diagnose(options.config === undefined ? undefined : readInstallation(options.config));
      result(options.json, { healthy: isHealthy(findings), findings }, findingLines(findings));
      // A check that was given up may still hang in a child or a socket.
      process.exit(isHealthy(findings) ? exitCodes.ok : exitCodes.failed);
    });
}

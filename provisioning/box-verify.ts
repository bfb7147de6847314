import type { Command } from "commander";
import { z } from "zod";
import { exitCodes } from "../agent/runtime/config.ts";
import { command, configOption, json, optionsOf } from "./options.ts";
import { result } from "./output.ts";

export function verifyCommand(): Command {
  return command("verify", "test a box that has joined: token, keys, certificate, sensor, broker, coordinator; before its agent is started", ["box verify --config box-1.yaml", "box verify --config box-1.yaml --json"])
    .option(...configOption)
    .action(async (_: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...json, config: z.string() }));
      const [{ readBoxInstallation }, { verifyBox }, { findingLines, isHealthy }] = await Promise.all([import("./machine/installation.ts"), import("./doctor/verify.ts"), import("./doctor/check.ts")]);
      const box = readBoxInstallation(options.config);
      const findings = await verifyBox(box);
      const healthy = isHealthy(findings);
      result(options.json, { box: box.name, healthy, findings }, [...findingLines(findings), "", healthy ? `${box.name} is in order; next: shardkeep agent --config ${options.config}` : `${box.name} is NOT in order: mend what failed, then run this again`]);
      process.exit(healthy ? exitCodes.ok : exitCodes.failed);
    });
}

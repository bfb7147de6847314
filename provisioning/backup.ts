import { resolve } from "node:path";
import type { Command } from "commander";
import { z } from "zod";
import { command, configOption, json, optionsOf } from "./options.ts";
import { note, result } from "./output.ts";

const dryRunOption = ["--dry-run", "say what would be done, and do nothing", false] as const;

/** What somebody who keeps it has to know (docs/operations.md, Backups). */
const worth = {
  box: (name: string) => [
    `this file IS the shards of ${name}, with the PIN that opens them: never keep those of as many boxes as a key's threshold in one place, nor under one lock`,
    "destroy it when keys were re-sharded: it holds shards of a past epoch then",
  ],
  coordinator: () => [
    "this file IS the site's authority, with the PIN that opens it: who has it can sign records and certificates. It holds no shard",
    "keep the newest only: people, keys and quarantines of later are unknown to an older one",
  ],
} as const;

const after = {
  box: (name: string) => [
    `next: shardkeep box verify, then the agent. If a key was re-sharded after this backup, ${name} is put in quarantine as an old backup and its old shards are worth nothing: box readmit, and it is a spare`,
    "its limits count from the backup on; never run it beside the one that it was copied from",
  ],
  coordinator: () => [
    "next: shardkeep doctor, then the coordinator. It has forgotten what came after the backup: people, keys, quarantines, versions of the record. Boxes that have a newer record refuse it: then a newer backup is needed",
    "never run it beside the one that it was copied from",
  ],
} as const;

export function backupCommand(): Command {
  return command("backup", "keep a box or a coordinator in one file: state, token, PIN, configuration; while it is stopped", ["backup --config box-1.yaml --out /media/stick/box-1.backup", "backup --config coordinator.yaml --out site.backup --dry-run"])
    .option(...configOption)
    .option("--out <file>", "where it goes; everything secret is in it")
    .option(...dryRunOption)
    .action(async (_: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...json, config: z.string(), out: z.string(), dryRun: z.boolean() }));
      const [{ readInstallation }, { backUp }] = await Promise.all([import("./machine/installation.ts"), import("./backup/backup.ts")]);
      const of = readInstallation(options.config);
      const { files } = await backUp(of, options.out, options.dryRun);
      const state = options.dryRun ? "would change" : "changed";
      for (const line of worth[of.kind](of.name)) note(line);
      result(options.json, { kind: of.kind, name: of.name, step: resolve(options.out), state, files: files.map(({ name }) => name) }, [`${state}  ${resolve(options.out)}  ${files.length} files of ${of.kind} ${of.name}`]);
    });
}

export function restoreCommand(): Command {
  return command("restore", "put a backup back in its places, checked whole before anything changes; what is there is never deleted", ["restore /media/stick/box-1.backup --config box-1.yaml", "restore site.backup --config coordinator.yaml --replace"])
    .argument("<file>", "of `shardkeep backup`")
    .option("--config <file>", "says where the places are; if it is not there, the kept one is put there")
    .option("--replace", "move aside what is there and differs", false)
    .option(...dryRunOption)
    .action(async (file: string, _: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...json, config: z.string(), replace: z.boolean(), dryRun: z.boolean() }));
      const { restore } = await import("./backup/restore.ts");
      const made = await restore(resolve(file), resolve(options.config), options);
      const lines = made.steps.map(({ step, state, aside }) => `${state.padEnd(12)}  ${step}${aside === undefined ? "" : `; what was there: ${aside}`}`);
      result(options.json, made, [...lines, ...(options.dryRun ? [] : after[made.kind](made.name))]);
    });
}

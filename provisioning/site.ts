import type { Command } from "commander";
import { z } from "zod";
import { sitePolicy, type SiteRecord } from "../agent/protocol/site-record.ts";
import { isChangeable } from "../agent/rules/record.ts";
import { withPolicy } from "../agent/rules/record-edits.ts";
import { recoveryLine, ruleLine } from "../agent/rules/record-words.ts";
import { readYaml } from "../agent/runtime/config.ts";
import { ShardkeepError } from "../agent/runtime/errors.ts";
import { fingerprintOf } from "../agent/runtime/fingerprint.ts";
import { answers, answersOption, settle } from "./answers.ts";
import { approveCommand } from "./box-approve.ts";
import { inviteCommand } from "./site-invite.ts";
import { connected, operating } from "./connected.ts";
import { dryRun, dryRunOption, rehearsal } from "./dry-run.ts";
import { write } from "./files.ts";
import { client, clientOption, command, configOption, group, json, optionsOf } from "./options.ts";
import { result } from "./output.ts";
import { provision } from "./programs.ts";
import { changeRecord, linesOf, reason, reasonOption } from "./record-change.ts";
import { provenChain, stepLine } from "./record-chain.ts";
import { recoveryCommand, recoveryKeyCommand } from "./site-recovery.ts";
import { recoveryCheckCommand } from "./site-recovery-check.ts";
import { recoverCommand } from "./site-recover.ts";

function describe({ site, body }: SiteRecord): string[] {
  const list = (title: string, lines: readonly string[]): string[] => ["", `${title}:`, ...(lines.length === 0 ? ["  none"] : lines.map((line) => `  ${line}`))];
  return [
    `site ${site}, record version ${body.version}, ${body.sealed ? "sealed" : "UNSEALED: no key is made or used"}`,
    `authority ${fingerprintOf(body.authority)}`,
    `coordinator ${body.coordinator.id}`,
    ...list("boxes", body.boxes.map(({ id, zone }) => `${id} in ${zone}`)),
    ...list("people", body.people.map(({ id, roles, fingers }) => `${id}: ${roles.join(", ") || "no role"}; ${fingers.map(({ name, box }) => `${name} at ${box}`).join(", ") || "no finger"}`)),
    ...list("clients", body.clients.map(({ id, person, admin }) => `${id}${person === undefined ? "" : ` for ${person}`}${admin ? ", administrator" : ""}`)),
    ...list("rules, the first that fits governs", body.rules.map(ruleLine)),
    ...(body.recovery === undefined ? [] : ["", `recovery key ${recoveryLine(body.recovery)}`]),
    ...(body.noZoneHoldsThreshold === true ? ["", "no zone holds a threshold of any key's shards"] : []),
  ];
}

function initCommand(): Command {
  return command("init", "make a site here: token, keys, TLS authority, first record, first administrator", ["site init --config coordinator.yaml", "site init --config /etc/shardkeep/plant.yaml --answers plant.answers.yaml --dry-run"])
    .option(...configOption)
    .option(...answersOption)
    .option(...dryRunOption)
    .action(async (_: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...json, ...dryRun, ...answers, config: z.string() }));
      const settled = await settle("site", options.config, options.answers, options.dryRun);
      const args = ["--config", settled.config];
      if (options.dryRun) return await rehearsal(options.json, "siteInit", args, settled);
      const steps = [...settled.steps, ...await provision("siteInit", args)];
      const made = steps.find(({ step }) => step === "site");
      result(options.json, { steps }, [`next: shardkeep coordinator --config ${options.config}`, `      export SHARDKEEP_CLIENT=${String(made?.["client"])}`]);
    });
}

function changed(name: string, description: string, examples: readonly string[]): Command {
  return command(name, description, examples).option(...clientOption);
}

function applyCommand(): Command {
  return changed("apply", "set roles, people's roles and rules from a YAML file; once the record is sealed people approve that", [
    "site apply policy.yaml", "site apply policy.yaml --reason 'bob has left the company'",
  ])
    .argument("<file>", "roles, people, clients, rules; docs/configuration.md")
    .addOption(reasonOption())
    .action(async (file: string, _: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...client, ...reason }));
      const policy = readYaml(file, sitePolicy);
      const made = await operating(options.client, (one, signal) => changeRecord(one, {
        edit: withPolicy(policy), reason: options.reason ?? `site apply ${file}`.slice(0, 200),
        unsealed: async () => (await one.request("site-apply", { policy })).record,
      }, signal));
      result(options.json, made, linesOf(made, "applied"));
    });
}

function showCommand(): Command {
  return changed("show", "the site record and how it came to be: every version checked by the one before it", ["site show", "site show --json"])
    .action(async (_: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject(client));
      const { record, chain } = await connected(options.client, async (one) => ({ record: one.record, chain: await provenChain(one) }));
      result(options.json, { ...record, chain }, [...describe(record), "", "versions:", ...chain.map((step) => `  ${stepLine(step)}`)]);
    });
}

function aclCommand(): Command {
  return changed("acl", "Mosquitto's ACL file for this site, with those denied who have left; the embedded broker needs none", ["site acl --out /etc/mosquitto/shardkeep/acl && systemctl reload mosquitto"])
    .option("--out <file>", "where it goes; without it to stdout")
    .action(async (_: unknown, from: Command) => {
      const { json, client: file, out } = optionsOf(from, z.strictObject({ ...client, out: z.string().optional() }));
      const { record, acl } = await connected(file, async ({ record }) => ({ record, acl: (await import("../agent/client/index.ts")).mosquittoAcl({ coordinator: record.body.coordinator.id, retired: record.body.retired ?? [] }) }));
      if (out !== undefined) write(out, acl);
      const denied = record.body.retired ?? [];
      result(json, { version: record.body.version, denied, ...(out === undefined ? { acl } : { out }) }, out === undefined ? acl.trimEnd().split("\n") : [`${out}: ${denied.length} denied; next: systemctl reload mosquitto`]);
    });
}

function sealCommand(): Command {
  return changed("seal", "seal the record: from here on keys are made, and it changes by people's fingers only", ["site seal"])
    .action(async (_: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject(client));
      const { record } = await connected(options.client, (one) => {
        // Of a record without boxes and rules the coordinator says what is missing first.
        const { body } = one.record;
        if (body.boxes.length > 0 && body.rules.length > 0 && !isChangeable(body)) {
          throw new ShardkeepError("NOT_READY", "nobody could change the site record once it is sealed: it has no rule `record`, or the people for it are not enrolled", { remedy: "add a rule {key: site, operations: [record]}, `site apply FILE`, and enrol the people that it asks for" });
        }
        return one.request("site-seal", {});
      });
      result(options.json, { version: record.body.version, sealed: record.body.sealed }, [`record version ${record.body.version} is sealed`]);
    });
}

export function siteCommand(): Command {
  return group("site", "the site and its record", [
    initCommand(), approveCommand(), inviteCommand(), applyCommand(), showCommand(), sealCommand(), aclCommand(), recoveryKeyCommand(), recoveryCheckCommand(), recoveryCommand(), recoverCommand(),
  ]);
}

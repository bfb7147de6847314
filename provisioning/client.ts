import type { Command } from "commander";
import { z } from "zod";
import type { Client, ClientEntry } from "../agent/client/index.ts";
import { id } from "../agent/protocol/primitives.ts";
import type { SiteRecord } from "../agent/protocol/site-record.ts";
import { withClient, withoutClient } from "../agent/rules/record-edits.ts";
import { ShardkeepError } from "../agent/runtime/errors.ts";
import { operating } from "./connected.ts";
import { argument, client, clientOption, command, group, optionsOf } from "./options.ts";
import { result } from "./output.ts";
import { changeRecord, linesOf, reason, reasonOption } from "./record-change.ts";

/** Before the seal the coordinator enters it together with its certificate. */
async function enterClient(admin: Client, entry: ClientEntry, why: string, signal: AbortSignal): Promise<void> {
  const unsealed = (): Promise<SiteRecord> => Promise.resolve(admin.record);
  await changeRecord(admin, { edit: withClient(entry), reason: why, unsealed }, signal);
}

function addCommand(): Command {
  return command("add", "make a client's folder here and its entry in the site record; once that is sealed people approve it", ["client add payroll-service --out payroll-service", "client add alice-laptop --person alice --out alice-laptop"])
    .argument("<id>")
    .option("--person <person>", "for whom it asks; without one it is a service")
    .option("--out <folder>", "its folder, with client.yaml ready to use")
    .addOption(reasonOption())
    .option(...clientOption)
    .action(async (name: string, _: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...client, ...reason, person: id.optional(), out: z.string() }));
      const added = argument(from, "ID", id, name);
      const file = await operating(options.client, async (admin, signal) => {
        const { addClient } = await import("../agent/client/index.ts");
        const why = options.reason ?? `client add ${added}`;
        return await addClient(admin, { id: added, person: options.person, folder: options.out }, (entry) => enterClient(admin, entry, why, signal));
      });
      result(options.json, { client: added, file }, [`${added} is ready: shardkeep … --client ${file}`]);
    });
}

function removeCommand(): Command {
  return command("remove", "take a client out of the record: it is out at once; once the record is sealed people approve that", ["client remove payroll-service", "client remove alice-laptop --reason 'lost on a train'"])
    .argument("<id>")
    .addOption(reasonOption())
    .option(...clientOption)
    .action(async (name: string, _: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...client, ...reason }));
      const removed = argument(from, "ID", id, name);
      const made = await operating(options.client, (admin, signal) => {
        const { clients } = admin.record.body;
        if (!clients.some((known) => known.id === removed)) throw new ShardkeepError("UNKNOWN_CLIENT", `${removed} is no client of this site`, { remedy: "`shardkeep site show` lists the clients" });
        // Who could change the record through nobody any more would have locked the site up.
        if (!clients.some((known) => known.admin && known.id !== removed)) throw new ShardkeepError("LAST_ADMINISTRATOR", `${removed} is the only administrator`, { remedy: "make another client an administrator first: `site apply`" });
        return changeRecord(admin, {
          edit: withoutClient(removed), reason: options.reason ?? `client remove ${removed}`,
          unsealed: async () => (await admin.request("client-remove", { client: removed })).record,
        }, signal);
      });
      result(options.json, { client: removed, ...made }, [...linesOf(made, `${removed} is out`), "with Mosquitto: `shardkeep site acl --out FILE` and reload it; the embedded broker knows"]);
    });
}

export function clientCommand(): Command {
  return group("client", "who may ask", [addCommand(), removeCommand()]);
}

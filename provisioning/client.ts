import type { Command } from "commander";
import { z } from "zod";
import { id } from "../agent/protocol/primitives.ts";
import { connected } from "./connected.ts";
import { argument, client, clientOption, command, group, optionsOf } from "./options.ts";
import { result } from "./output.ts";

function addCommand(): Command {
  return command("add", "make a client's folder here and its entry in the site record", ["client add payroll-service --out payroll-service", "client add alice-laptop --person alice --out alice-laptop"])
    .argument("<id>")
    .option("--person <person>", "for whom it asks; without one it is a service")
    .option("--out <folder>", "its folder, with client.yaml ready to use")
    .option(...clientOption)
    .action(async (name: string, _: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...client, person: id.optional(), out: z.string() }));
      const added = argument(from, "ID", id, name);
      const file = await connected(options.client, async (admin) => {
        const { addClient } = await import("../agent/client/index.ts");
        return await addClient(admin, { id: added, person: options.person, folder: options.out });
      });
      result(options.json, { client: added, file }, [`${added} is ready: shardkeep … --client ${file}`]);
    });
}

export function clientCommand(): Command {
  return group("client", "who may ask", [addCommand()]);
}

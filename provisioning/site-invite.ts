import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { z } from "zod";
import type { Client } from "../agent/client/index.ts";
import { ClientError } from "../agent/client/errors.ts";
import { id } from "../agent/protocol/primitives.ts";
import { fingerprintOf } from "../agent/runtime/fingerprint.ts";
import { approve, type RequestFile } from "./box-approve.ts";
import { operating } from "./connected.ts";
import { duration, written } from "./duration.ts";
import { argument, client, clientOption, command, optionsOf } from "./options.ts";
import { note, result } from "./output.ts";
import { reason, reasonOption } from "./record-change.ts";

const lookMs = 1000;

/** Until the box with the code has asked. Throws TIMED_OUT at the end of the code, CANCELLED at Ctrl-C. */
async function asked(one: Client, box: string, forMs: number, signal: AbortSignal): Promise<RequestFile> {
  for (const begun = performance.now(); ;) {
    if (signal.aborted) throw new ClientError("CANCELLED", "the code is worth nothing any more", { remedy: "the same command gives another one" });
    if (performance.now() - begun > forMs) throw new ClientError("TIMED_OUT", `no box has used the code for ${box}`, { remedy: "the same command gives another one" });
    const { request } = await one.request("box-invited", { box });
    if (request !== null) return request;
    await sleep(lookMs);
  }
}

export function inviteCommand(): Command {
  return command("invite", "let a box join over the network: shows a code that is good once, waits for the box, lets it in; once the record is sealed people approve that", ["site invite box-6", "site invite box-6 --for 2h --reason 'a spare for the annex'"])
    .argument("<box>", "the new box's name")
    .option("--for <time>", "how long the code is good, like 30m or 2h; at most a day", "1h")
    .addOption(reasonOption())
    .option(...clientOption)
    .action(async (name: string, _: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...client, ...reason, for: duration }));
      const box = argument(from, "BOX", id, name);
      const { record } = await operating(options.client, async (one, signal) => {
        const { inviteBox } = await import("../agent/client/index.ts");
        const code = await inviteBox(one, box, options.for);
        note(`code for ${box}, good once and for ${written(options.for)}: ${code}`);
        note(`next, at the box: shardkeep box join --config FILE --at HOST:PORT (the coordinator's \`join.listen\`), and type the code there`);
        try {
          const request = await asked(one, box, options.for, signal);
          note(`${box} asks to join, key ${fingerprintOf((request as { body: { key: string } }).body.key)}`);
          return (await approve(one, request, options.reason ?? `site invite ${box}`, signal)).body;
        } catch (error) {
          await one.request("box-uninvite", { box }).catch(() => undefined);
          throw error;
        }
      });
      result(options.json, { box, version: record.body.version, authority: fingerprintOf(record.body.authority) }, [`${box} is in record version ${record.body.version}, and takes its answer by itself`]);
    });
}

import type { Command } from "commander";
import { z } from "zod";
import { connected } from "./connected.ts";
import { ShardkeepError } from "../agent/runtime/errors.ts";
import { requireAbsent, write } from "./files.ts";
import { client, clientOption, command, list, optionsOf } from "./options.ts";
import { note, result } from "./output.ts";

export function supportBundleCommand(): Command {
  return command("support-bundle", "one file to send to who helps: doctor's findings, versions, configuration, record, status, logs; no secret is in it", [
    "support-bundle --config box-1.yaml --out bundle.json", "support-bundle --out bundle.json --config box-1.yaml --log box-1.log --log /tmp/journal.txt",
  ])
    .option("--out <file>", "where it goes: JSON, to be read before it is sent")
    .option("--config <file>", "a box's or a coordinator's configuration")
    .option("--log <file>", "the end of a log, redacted; again for more (journalctl -u 'shardkeep*' > FILE)", list, [])
    .option(...clientOption)
    .action(async (_: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...client, out: z.string(), config: z.string().optional(), log: z.array(z.string()) }));
      requireAbsent(options.out);
      const [{ readInstallation }, { bundle, clientFor }] = await Promise.all([import("./machine/installation.ts"), import("./bundle/bundle.ts")]);
      const of = options.config === undefined ? undefined : readInstallation(options.config);
      const asking = clientFor(options.client, of);
      const text = await bundle({
        of, logs: options.log,
        status: () => {
          if (asking === undefined) throw new ShardkeepError("NOT_CONNECTED", "no client here that could ask", { remedy: "--client FILE" });
          return connected(asking, (one) => one.status());
        },
      });
      write(options.out, text);
      note("names of people, boxes and rules are in it, and paths. What looks like a key is replaced by a mark; read it before you send it");
      result(options.json, { out: options.out, bytes: Buffer.byteLength(text) }, [`${options.out}: ${Buffer.byteLength(text)} bytes`]);
      // A check that was given up may still hang in a child or a socket.
      process.exit();
    });
}

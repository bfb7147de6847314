import type { Command } from "commander";
import { z } from "zod";
import { connected } from "./connected.ts";
import { written } from "./duration.ts";
import { exposureTable } from "./exposures.ts";
import { client, clientOption, command, optionsOf } from "./options.ts";
import { result, table } from "./output.ts";

export function statusCommand(): Command {
  return command("status", "boxes, keys and site record as the coordinator sees them", ["status", "status --json --client admin/client.yaml"])
    .option(...clientOption)
    .action(async (_: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject(client));
      const status = await connected(options.client, (one) => one.status());
      const { site, coordinator, siteRecord, sealed, boxes, keys, operations, hold } = status;
      result(options.json, status, [
        `site ${site}, coordinator ${coordinator}, record version ${siteRecord.version} (${sealed ? "sealed" : "UNSEALED"}), ${operations} operation(s) under way`,
        ...(hold === null ? [] : ["HELD: fewer than a majority of the boxes is there, so it may be our own network: nobody is declared lost"]),
        "",
        ...table(["BOX", "ZONE", "STATE", "HSM", "SENSOR", "SHARDS", "RECORD", "SINCE"], boxes.map((box) => [
          box.box, box.zone, box.state, box.hsm, box.emulated ? `${box.sensor} (emulated)` : box.sensor, box.holdings, box.siteRecord, written(box.sinceMs),
        ])),
        "",
        ...table(["KEY", "KIND", "THRESHOLD", "HOLDERS LIVE", "EPOCH", "ORIGIN", "WANTED", "RE-SHARD", "HELD"], keys.map((key) => [
          key.key, key.kind, `${key.threshold} of ${key.holders.length}`, `${key.live} of ${key.holders.length}`, key.epoch, key.imported ? "imported" : "generated", key.size, key.reshard ?? "-", key.held ?? "-",
        ])),
        ...exposureTable(keys),
      ]);
    });
}

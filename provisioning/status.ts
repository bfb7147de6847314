import type { Command } from "commander";
import { z } from "zod";
import type { Status } from "../agent/client/status.ts";
import { connected } from "./connected.ts";
import { written } from "./duration.ts";
import { exposureTable } from "./exposures.ts";
import { client, clientOption, command, optionsOf } from "./options.ts";
import { result, table } from "./output.ts";

const emulated = (state: string, isEmulated: boolean): string => (isEmulated ? `${state} (emulated)` : state);

export function boxTable(boxes: Status["boxes"]): string[] {
  return table(["BOX", "ZONE", "STATE", "HSM", "SENSOR", "PANEL", "SHARDS", "RECORD", "SINCE"], boxes.map((box) => [
    box.box, box.zone, box.degraded ? `${box.state}, degraded` : box.state, box.hsm, emulated(box.sensor, box.emulated), emulated(box.panel, box.panelEmulated), box.holdings, box.siteRecord, written(box.sinceMs),
  ]));
}

/** A box may wait alone: it was off while the others ran. */
export function recoveryLines({ recovery, boxes }: Pick<Status, "recovery" | "boxes">): string[] {
  return [
    ...(recovery === null ? [] : [`RECOVERY: version ${recovery.version}, made with the recovery key, is in force in ${written(recovery.leftMs)} unless people veto it: shardkeep site recovery --none`]),
    ...boxes.flatMap(({ box, recoveryMs }) => (recoveryMs === null ? [] : [`RECOVERY: ${box} has still to run ${written(recoveryMs)}`])),
  ];
}

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
        ...recoveryLines(status),
        "",
        ...boxTable(boxes),
        "",
        ...table(["KEY", "KIND", "THRESHOLD", "HOLDERS LIVE", "EPOCH", "ORIGIN", "WANTED", "RE-SHARD", "HELD"], keys.map((key) => [
          key.key, key.kind, `${key.threshold} of ${key.holders.length}`, `${key.live} of ${key.holders.length}`, key.epoch, key.imported ? "imported" : "generated", key.size, key.reshard ?? "-", key.held ?? "-",
        ])),
        ...exposureTable(keys),
      ]);
    });
}

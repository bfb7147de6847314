import type { Command } from "commander";
import { z } from "zod";
import { id } from "../agent/protocol/primitives.ts";
import { withReadmitted } from "../agent/rules/record-edits.ts";
import { ShardkeepError } from "../agent/runtime/errors.ts";
import { identifyCommand } from "./box-identify.ts";
import { joinCommand, planCommand } from "./box-join.ts";
import { labelCommand } from "./box-label.ts";
import { acceptCommand, requestCommand } from "./box-request.ts";
import { resetCommand } from "./box-reset.ts";
import { replaceCommand, retireCommand } from "./box-retire.ts";
import { verifyCommand } from "./box-verify.ts";
import { connected, operating } from "./connected.ts";
import { duration, written } from "./duration.ts";
import { argument, client, clientOption, command, group, optionsOf } from "./options.ts";
import { result } from "./output.ts";
import { changeRecord, linesOf, reason, reasonOption } from "./record-change.ts";

function pauseCommand(): Command {
  return command("pause", "announce that a box may be silent: it is not lost until the time is over", ["box pause box-3 --for 1h", "box pause box-3 --for 90s --client admin/client.yaml"])
    .argument("<box>")
    .option("--for <time>", "how long, like 90s, 30m or 2h; at most a day")
    .option(...clientOption)
    .action(async (name: string, _: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...client, for: duration }));
      const box = argument(from, "BOX", id, name);
      const { state } = await connected(options.client, (one) => one.request("box-pause", { box, forMs: options.for }));
      result(options.json, { box, state, forMs: options.for }, [`${box} may be silent for ${written(options.for)}; sooner back: shardkeep box resume ${box}`]);
    });
}

function resumeCommand(): Command {
  return command("resume", "end a box's maintenance before its time: from now on its silence counts", ["box resume box-3"])
    .argument("<box>")
    .option(...clientOption)
    .action(async (name: string, _: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject(client));
      const box = argument(from, "BOX", id, name);
      const { state } = await connected(options.client, (one) => one.request("box-resume", { box }));
      result(options.json, { box, state }, [`${box} is ${state}`]);
    });
}

function readmitCommand(): Command {
  return command("readmit", "lift a box's quarantine: its evidence counts and it may hold shards again; people approve that", ["box readmit box-3 --reason 'HSM replaced, found in order'"])
    .argument("<box>")
    .addOption(reasonOption())
    .option(...clientOption)
    .action(async (name: string, _: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...client, ...reason }));
      const box = argument(from, "BOX", id, name);
      const made = await operating(options.client, async (one, signal) => {
        const { boxes } = await one.request("status", {});
        if (boxes.find((known) => known.box === box)?.state !== "quarantined") throw new ShardkeepError("NOT_QUARANTINED", `${box} is not in quarantine`, { remedy: "`shardkeep status` shows the boxes" });
        return await changeRecord(one, { edit: withReadmitted(box), reason: options.reason ?? `box readmit ${box}`, unsealed: notSealed }, signal);
      });
      result(options.json, { box, ...made }, linesOf(made, `${box} is readmitted`));
    });
}

const notSealed = (): Promise<never> => Promise.reject(new ShardkeepError("NOT_SEALED", "the site record is not sealed: nobody can approve yet", { remedy: "shardkeep site seal" }));

export function boxCommand(): Command {
  return group("box", "this box: plan, request, accept, join, verify, label, reset; any box: identify, pause, resume, readmit, replace, retire", [
    planCommand(), requestCommand(), acceptCommand(), joinCommand(), verifyCommand(), labelCommand(), resetCommand(), identifyCommand(), pauseCommand(), resumeCommand(), readmitCommand(), replaceCommand(), retireCommand(),
  ]);
}

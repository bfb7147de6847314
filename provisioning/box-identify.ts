import type { Command } from "commander";
import { z } from "zod";
import { id } from "../agent/protocol/primitives.ts";
import { mostIdentifyMs } from "../agent/protocol/messages.ts";
import { connected } from "./connected.ts";
import { duration, written } from "./duration.ts";
import { argument, client, clientOption, command, optionsOf } from "./options.ts";
import { result } from "./output.ts";

export function identifyCommand(): Command {
  return command("identify", "have a box blink and beep, to find it in a rack", ["box identify box-3", "box identify box-3 --for 2m"])
    .argument("<box>")
    .option("--for <time>", "how long, like 90s or 2m; at most 10m", "30s")
    .option(...clientOption)
    .action(async (name: string, _: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...client, for: duration.refine((ms) => ms <= mostIdentifyMs, `at most ${written(mostIdentifyMs)}`) }));
      const box = argument(from, "BOX", id, name);
      const { shows, on } = await connected(options.client, (one) => one.request("box-identify", { box, forMs: options.for }));
      const where = on === "panel" ? "its panel and the ring of its sensor" : "the ring of its sensor alone, for no panel answers there";
      result(options.json, { box, forMs: options.for, shows, on }, [
        shows === "identify" ? `${box} shows it for ${written(options.for)}: on ${where}` : `${box} shows \`${shows}\`, which outweighs \`identify\`: on ${where}`,
      ]);
    });
}

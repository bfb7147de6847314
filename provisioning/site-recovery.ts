import { join } from "node:path";
import type { Command } from "commander";
import { z } from "zod";
import { publicKey } from "../agent/protocol/primitives.ts";
import { withRecovery } from "../agent/rules/record-edits.ts";
import { makeFolder } from "../agent/runtime/durable.ts";
import { fingerprintOf } from "../agent/runtime/fingerprint.ts";
import { wipe } from "../agent/runtime/secrets.ts";
import { operating } from "./connected.ts";
import { longDuration } from "./duration.ts";
import { requireAbsent, write } from "./files.ts";
import { client, clientOption, command, json, optionsOf } from "./options.ts";
import { result, UsageError } from "./output.ts";
import { changeRecord, linesOf, reason, reasonOption } from "./record-change.ts";
import { makeCards } from "./recovery-cards.ts";

const mostCards = 16;
const count = z.string().regex(/^\d{1,2}$/, "a number").transform(Number).pipe(z.int().min(2).max(mostCards));

export function recoveryKeyCommand(): Command {
  return command("recovery-key", "make a recovery key and split it into cards; offline: nothing is asked of the site", ["site recovery-key --threshold 2 --cards 3 --out /dev/shm/cards"])
    .option("--threshold <number>", "so many cards give the key back")
    .option("--cards <number>", `how many there are, at most ${mostCards}`)
    .option("--out <folder>", "where the cards go, a file each; best one in memory, for they are secrets")
    .action(async (_: unknown, from: Command) => {
      const { threshold, cards, out, ...options } = optionsOf(from, z.strictObject({ ...json, threshold: count, cards: count, out: z.string() }));
      if (threshold > cards) throw new UsageError("USAGE", "--threshold: more than there are cards", { remedy: "shardkeep site recovery-key --help" });
      const files = Array.from({ length: cards }, (__, i) => join(out, `card-${i + 1}.txt`));
      makeFolder(out);
      for (const file of files) requireAbsent(file);
      const made = await makeCards(threshold, cards);
      try {
        for (const [i, file] of files.entries()) write(file, made.texts[i] ?? "");
      } finally {
        wipe(...made.texts);
      }
      result(options.json, { key: made.publicKey, fingerprint: fingerprintOf(made.publicKey), threshold, files }, [
        ...files, `the key is ${fingerprintOf(made.publicKey)}`,
        `next: print each card or write it by hand, delete ${out}, and have each custodian's card typed or scanned from the paper: shardkeep site recovery-check`,
        "then, at the site:",
        // One word: a key is base64url, and may begin with a dash.
        `shardkeep site recovery --key=${made.publicKey} --delay 7d`,
      ]);
    });
}

const hourMs = 3_600_000;
/** The default: long enough for who is on holiday. Less than an hour is no time to hear an alarm and to veto. */
const usualDelay = "7d";
const delay = longDuration.refine((ms) => ms >= hourMs && ms <= 366 * 24 * hourMs, "1h to 366d: who is to veto must hear of it first");

export function recoveryCommand(): Command {
  return command("recovery", "name the recovery key of the site, or none; once the record is sealed people approve that, and it vetoes a recovery that waits", [
    "site recovery --key PUBLIC", "site recovery --key PUBLIC --delay 72h --reason 'new custodians'", "site recovery --none --reason 'two cards were stolen'",
  ])
    .option("--key <public>", "as `site recovery-key` printed it")
    .option("--delay <time>", `each box's own running time until a recovery is in force, 1h to 366d (default: ${usualDelay})`)
    .option("--none", "no recovery key")
    .addOption(reasonOption())
    .option(...clientOption)
    .action(async (_: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...client, ...reason, key: publicKey.optional(), delay: delay.optional(), none: z.boolean().default(false) }));
      const { key, none, delay: delayMs = delay.parse(usualDelay) } = options;
      if ((key === undefined) !== none || (none && options.delay !== undefined)) throw new UsageError("USAGE", "either --key, with or without --delay, or --none", { remedy: "shardkeep site recovery --help" });
      const recovery = key === undefined ? undefined : { key, delayMs };
      const made = await operating(options.client, (one, signal) => changeRecord(one, {
        edit: withRecovery(recovery), reason: options.reason ?? (none ? "site recovery --none" : "site recovery --key"),
        unsealed: async () => (await one.request("recovery-key", { recovery: recovery ?? null })).record,
      }, signal));
      result(options.json, { ...made, recovery: recovery ?? null }, linesOf(made, recovery === undefined ? "there is no recovery key" : `the recovery key is ${fingerprintOf(recovery.key)}`));
    });
}

import type { Command } from "commander";
import { z } from "zod";
import { RecordError } from "../agent/rules/record.ts";
import { fingerprintOf } from "../agent/runtime/fingerprint.ts";
import { secretLines } from "./card-reader.ts";
import { connected } from "./connected.ts";
import { clientOption, command, json, optionsOf } from "./options.ts";
import { note, result } from "./output.ts";
import { checkCards, type Checked } from "./recovery-cards.ts";

/** Rejects with RECORD_NOT_RECOVERABLE; also before the seal, when a recovery key is named already and not of use yet. */
async function keyOfRecord(file: string): Promise<string> {
  const key = await connected(file, (one) => Promise.resolve(one.record.body.recovery?.key));
  if (key === undefined) throw new RecordError("RECORD_NOT_RECOVERABLE", "the site record names no recovery key", { remedy: "name it first: shardkeep site recovery --key=PUBLIC" });
  return key;
}

function linesOfChecked({ cards, threshold, key }: Checked, known: string | undefined): string[] {
  if (key !== null) return [`cards ${cards.join(", ")} give the key ${fingerprintOf(key)}`, ...(known === undefined ? [] : ["that is the recovery key of the site record"])];
  const of = known === undefined ? "" : `, of the recovery key ${fingerprintOf(known)}`;
  return [`${cards.length === 1 ? "card" : "cards"} ${cards.join(", ")} as printed${of}; ${threshold - cards.length} more would give the key`];
}

export function recoveryCheckCommand(): Command {
  return command("recovery-check", "check cards as they are typed, scanned or piped, and whether they give the key; nothing of them is shown or kept", [
    "site recovery-check", "site recovery-check < card-2.txt", "site recovery-check --client client.yaml",
  ])
    .option(clientOption[0], "also whether they are of the key that this client's site names (default: nothing is asked of a site)")
    .addHelpText("after", "\nAny number of cards of one key, also piped: cat card-*.txt | shardkeep site recovery-check. Ctrl-D ends the typing.\nWhere there are as many as give the key, every one of them is proven to be part of it.")
    .action(async (_: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...json, client: z.string().optional() }));
      const known = options.client === undefined ? undefined : await keyOfRecord(options.client);
      const isPatient = process.stdin.isTTY;
      if (isPatient) note("type a card row by row, or scan its code; Ctrl-D when there are no more");
      const checked = await checkCards(secretLines(process.stdin), known, { ask: isPatient ? note : () => undefined, isPatient, onCard: ({ x }) => { note(`card ${x}: as printed`); } });
      result(options.json, { ...checked, fingerprint: checked.key === null ? null : fingerprintOf(checked.key), inRecord: known !== undefined }, linesOfChecked(checked, known));
    });
}

import type { Command } from "commander";
import { z } from "zod";
import type { Client } from "../agent/client/index.ts";
import type { Signer } from "../agent/protocol/es256.ts";
import { id, label } from "../agent/protocol/primitives.ts";
import { recordHashOf, recoveryMessage, sitePolicy } from "../agent/protocol/site-record.ts";
import { statementHash } from "../agent/protocol/statement.ts";
import { inTurn, nextBody, withFinger, withPolicy, type Edit } from "../agent/rules/record-edits.ts";
import { changesInWords } from "../agent/rules/record-words.ts";
import { recoveryKeyOf } from "../agent/rules/recovery.ts";
import { readYaml } from "../agent/runtime/config.ts";
import { toBase64url } from "../agent/runtime/encoding.ts";
import { operating } from "./connected.ts";
import { written } from "./duration.ts";
import { client, clientOption, command, list, optionsOf } from "./options.ts";
import { note, result, UsageError } from "./output.ts";
import { enrolFinger, forgetFinger, type Finger } from "./person.ts";
import { CardError } from "./recovery-card.ts";
import { secretLines } from "./card-reader.ts";
import { signerOfCards } from "./recovery-cards.ts";

export interface Newcomer extends Finger { readonly role: string }

const newcomer = z.string().transform((text) => text.split(":")).pipe(z.tuple([id, label, label, id], "PERSON:ROLE:FINGER:BOX"))
  .transform(([person, role, finger, box]): Newcomer => ({ person, role, finger, box }));

export interface Asked { readonly version: number; readonly hash: string; readonly leftMs: number; readonly changes: readonly string[] }

/**
 * Those who are to come are enrolled first, by whoever is there; then the custodians let them in. `signerOf` gives what
 * signs as the recovery key. Rejects as it does, or with the coordinator's RecordError; then nobody stays enrolled.
 */
export async function recover(one: Client, base: readonly Edit[], newcomers: readonly Newcomer[], signerOf: (publicKey: string) => Promise<Signer>): Promise<Asked> {
  const key = recoveryKeyOf(one.record.body);
  const enrolled: Newcomer[] = [];
  try {
    const edits = [...base];
    for (const added of newcomers) {
      note(`${added.person} is enrolled at ${added.box}:`);
      const { slot, template } = await enrolFinger(one, added);
      enrolled.push(added);
      edits.push(withFinger(added.person, [added.role], { name: added.finger, box: added.box, slot, template }));
    }
    const { record } = one;
    const body = nextBody(record, inTurn(...edits));
    const changes = changesInWords(record.body, body);
    note(`version ${body.version} of the site record, by the recovery key:`);
    for (const line of changes) note(`  ${line}`);
    const signer = await signerOf(key);
    const recovery = toBase64url(await signer.sign(recoveryMessage(record.site, statementHash(record), recordHashOf(record, body))));
    return { ...await one.request("site-recover", { body, recovery }), changes };
  } catch (error) {
    for (const added of enrolled) await forgetFinger(one, added);
    throw error;
  }
}

export function recoverCommand(): Command {
  return command("recover", "give a site that lost its administrators new ones, with the cards of its recovery key", [
    "site recover --add dave:officer:thumb:box-3 --add erin:officer:thumb:box-4", "site recover policy.yaml --add dave:officer:thumb:box-3",
  ])
    .argument("[policy]", "people, roles and clients as for `site apply`; of the rules only those of the record itself may differ")
    .option("--add <newcomer>", "PERSON:ROLE:FINGER:BOX, enrolled now; may be repeated", list, [])
    .option(...clientOption)
    .addHelpText("after", "\nThe cards are typed row by row, or piped: cat card-1.txt card-3.txt | shardkeep site recover …\nNothing changes before the delay is over at each box: shardkeep status shows how long still.")
    .action(async (file: string | undefined, _: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...client, add: z.array(newcomer).max(16) }));
      if (file === undefined && options.add.length === 0) throw new UsageError("USAGE", "say what is to change: a policy, or --add", { remedy: "shardkeep site recover --help" });
      const base = file === undefined ? [] : [withPolicy(readYaml(file, sitePolicy))];
      const asked = await operating(options.client, (one, signal) => recover(one, base, options.add, (key) => {
        signal.addEventListener("abort", () => { process.stdin.destroy(new CardError("RECOVERY_CARDS_MISSING", "no more cards are typed")); });
        return signerOfCards(secretLines(process.stdin), key, { ask: note, isPatient: process.stdin.isTTY });
      }));
      result(options.json, asked, [
        `version ${asked.version} comes into force once each box has run for ${written(asked.leftMs)}, unless people veto it under rule \`record\``,
        "until then every box alarms; shardkeep status shows how long still",
      ]);
    });
}

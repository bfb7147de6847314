import type { Command } from "commander";
import { z } from "zod";
import type { Client } from "../agent/client/index.ts";
import { id, label } from "../agent/protocol/primitives.ts";
import { withFinger, withoutPerson } from "../agent/rules/record-edits.ts";
import { changesInWords } from "../agent/rules/record-words.ts";
import { ShardkeepError } from "../agent/runtime/errors.ts";
import { connected, operating } from "./connected.ts";
import { argument, client, clientOption, command, group, list, optionsOf } from "./options.ts";
import { note, result, table } from "./output.ts";
import { changeRecord, linesOf, reason, reasonOption, type Changed } from "./record-change.ts";

const enrolMs = 120_000;
const say = { touch: "put the finger on the sensor", lift: "lift the finger", captured: "got it" } as const;

/** Of one person, at one box. */
export interface Finger { readonly person: string; readonly finger: string; readonly box: string }
export interface Enrolled { readonly sensor: string; readonly slot: number; readonly template: string }

/** On a sealed site: the finger is in the sensor of `box`, and nobody's until a version of the record takes it in. */
export async function enrolFinger(client: Client, { person, finger, box }: Finger): Promise<Enrolled> {
  const { enrolled: { body: { slot, template } }, sensor } = await client.request("finger-enrol", { person, finger, box }, { deadlineMs: enrolMs, onPart: showTouches(box) });
  return { sensor, slot, template };
}

/** Takes it out again where no version did; a box that is silent keeps a finger that is nobody's. */
export async function forgetFinger(client: Client, { person, finger, box }: Finger): Promise<void> {
  await client.request("finger-forget", { person, finger, box }).catch(() => undefined);
}

const showTouches = (box: string) => ({ step, n, of }: { step: keyof typeof say; n: number; of: number }): void => { note(`${box}: ${say[step]}${of > 0 ? ` (${n} of ${of})` : ""}`); };
interface Added extends Finger { readonly roles: readonly string[] | undefined }

/** Before the seal: enrolled and in the record at once. */
async function enrol(client: Client, { person, finger, box, roles }: Added): Promise<Changed & { sensor: string }> {
  const before = client.record.body;
  const { record, sensor } = await client.request("person-enrol", { person, finger, box, ...(roles === undefined ? {} : { roles: [...roles] }) }, { deadlineMs: enrolMs, onPart: showTouches(box) });
  return { version: record.body.version, changes: changesInWords(before, record.body), code: null, sensor };
}

/** On a sealed site: enrolled first, then the people approve whom the box has enrolled; if they do not, it forgets the finger. */
async function enrolApproved(client: Client, added: Added, why: string, signal: AbortSignal): Promise<Changed & { sensor: string }> {
  const { person, finger, box, roles } = added;
  if (roles === undefined && !client.record.body.people.some(({ id: known }) => known === person)) throw new ShardkeepError("UNKNOWN_PERSON", `${person} is new: a role is needed`, { remedy: "add --role" });
  const { sensor, slot, template } = await enrolFinger(client, added);
  try {
    const edit = withFinger(person, roles, { name: finger, box, slot, template });
    return { ...await changeRecord(client, { edit, reason: why, unsealed: neverUnsealed }, signal), sensor };
  } catch (error) {
    await forgetFinger(client, added);
    throw error;
  }
}

/** The seal does not come off while the command runs. */
const neverUnsealed = (): Promise<never> => Promise.reject(new TypeError("a sealed record is unsealed"));

function addCommand(): Command {
  return command("add", "enrol a person's finger at a box's sensor; once the record is sealed people approve that", [
    "person add alice --role officer --finger right-index --box box-1", "person add carol --role officer --finger thumb --box box-3 --reason 'new in finance'",
  ])
    .argument("<id>")
    .option("--role <role>", "a role, may be repeated; needed for a new person", list, [])
    .option("--finger <name>", "a name for the finger")
    .option("--box <box>", "at whose sensor")
    .addOption(reasonOption())
    .option(...clientOption)
    .action(async (name: string, _: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...client, ...reason, role: z.array(label).max(16), finger: label, box: id }));
      const person = argument(from, "ID", id, name);
      const { finger, box, role } = options;
      const added = { person, finger, box, roles: role.length === 0 ? undefined : role };
      const { sensor, ...made } = await operating(options.client, (one, signal) => (one.record.body.sealed
        ? enrolApproved(one, added, options.reason ?? `person add ${person}`, signal) : enrol(one, added)));
      result(options.json, { person, finger, box, sensor, ...made }, linesOf(made, `${person}'s ${finger} is known at ${box}${sensor === "emulated" ? " (an emulated sensor: no real finger was measured)" : ""}`));
    });
}

function listCommand(): Command {
  return command("list", "who is enrolled where", ["person list"])
    .option(...clientOption)
    .action(async (_: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject(client));
      const { people } = await connected(options.client, (one) => Promise.resolve(one.record.body));
      result(options.json, { people }, table(["PERSON", "ROLES", "FINGERS"], people.map((person) => [
        person.id, person.roles.join(", "), person.fingers.map(({ name, box }) => `${name} at ${box}`).join(", "),
      ])));
    });
}

function removeCommand(): Command {
  return command("remove", "take a person out of the record and the sensors; once the record is sealed people approve that", [
    "person remove alice", "person remove alice --reason 'has left the company'",
  ])
    .argument("<id>")
    .addOption(reasonOption())
    .option(...clientOption)
    .action(async (name: string, _: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...client, ...reason }));
      const person = argument(from, "ID", id, name);
      const made = await operating(options.client, (one, signal) => {
        if (!one.record.body.people.some(({ id: known }) => known === person)) throw new ShardkeepError("UNKNOWN_PERSON", `${person} is not in the site record`, { remedy: "shardkeep person list" });
        return changeRecord(one, {
          edit: withoutPerson(person), reason: options.reason ?? `person remove ${person}`,
          unsealed: async () => (await one.request("person-remove", { person })).record,
        }, signal);
      });
      result(options.json, { person, ...made }, linesOf(made, `${person} is removed`));
    });
}

export function personCommand(): Command {
  return group("person", "people and their fingers", [addCommand(), listCommand(), removeCommand()]);
}

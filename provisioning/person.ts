import type { Command } from "commander";
import { z } from "zod";
import { id, label } from "../agent/protocol/primitives.ts";
import { connected } from "./connected.ts";
import { argument, client, clientOption, command, group, optionsOf } from "./options.ts";
import { note, result, table } from "./output.ts";

const enrolMs = 120_000;
const list = (value: string, all: string[]): string[] => [...all, value];
const say = { touch: "put the finger on the sensor", lift: "lift the finger", captured: "got it" } as const;

function addCommand(): Command {
  return command("add", "enrol a person's finger at a box's sensor", ["person add alice --role officer --finger right-index --box box-1"])
    .argument("<id>")
    .option("--role <role>", "a role, may be repeated; needed for a new person", list, [])
    .option("--finger <name>", "a name for the finger")
    .option("--box <box>", "at whose sensor")
    .option(...clientOption)
    .action(async (name: string, _: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...client, role: z.array(label).max(16), finger: label, box: id }));
      const person = argument(from, "ID", id, name);
      const { record, sensor } = await connected(options.client, (one) => one.request(
        "person-enrol",
        { person, finger: options.finger, box: options.box, ...(options.role.length === 0 ? {} : { roles: options.role }) },
        { deadlineMs: enrolMs, onPart: ({ step, n, of }) => { note(`${options.box}: ${say[step]}${of > 0 ? ` (${n} of ${of})` : ""}`); } },
      ));
      result(options.json, { person, finger: options.finger, box: options.box, sensor, version: record.body.version }, [
        `${person}'s ${options.finger} is known at ${options.box}${sensor === "emulated" ? " (an emulated sensor: no real finger was measured)" : ""}, record version ${record.body.version}`,
      ]);
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
  return command("remove", "take a person out of the record and the sensors", ["person remove alice"])
    .argument("<id>")
    .option(...clientOption)
    .action(async (name: string, _: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject(client));
      const person = argument(from, "ID", id, name);
      const { record } = await connected(options.client, (one) => one.request("person-remove", { person }));
      result(options.json, { person, version: record.body.version }, [`${person} is removed, record version ${record.body.version}`]);
    });
}

export function personCommand(): Command {
  return group("person", "people and their fingers", [addCommand(), listCommand(), removeCommand()]);
}

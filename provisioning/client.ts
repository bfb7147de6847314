import type { Command } from "commander";
import { z } from "zod";
import type { Client, ClientEntry } from "../agent/client/index.ts";
import { id } from "../agent/protocol/primitives.ts";
import type { SiteRecord } from "../agent/protocol/site-record.ts";
import { withClient, withoutClient } from "../agent/rules/record-edits.ts";
import { ShardkeepError } from "../agent/runtime/errors.ts";
import { fingerprintOf } from "../agent/runtime/fingerprint.ts";
import { rehearse } from "../agent/runtime/rehearsal.ts";
import { readRequest, type RequestFile } from "./box-approve.ts";
import { operating } from "./connected.ts";
import { dryRun, dryRunOption } from "./dry-run.ts";
import { readText, requireAbsent, writeJson } from "./files.ts";
import { foresee, foreseeRecord } from "./foresee.ts";
import { argument, client, clientOption, command, group, json, optionsOf } from "./options.ts";
import { note, result } from "./output.ts";
import { changeRecord, linesOf, reason, reasonOption, stepOf, type Changed } from "./record-change.ts";
import type { Step } from "./steps.ts";

/** Before the seal the coordinator enters it together with its certificate. */
async function enterClient(admin: Client, entry: ClientEntry, why: string, signal: AbortSignal): Promise<Changed> {
  const unsealed = (): Promise<SiteRecord> => Promise.resolve(admin.record);
  return await changeRecord(admin, { edit: withClient(entry), reason: why, unsealed }, signal);
}

function requestCommand(): Command {
  return command("request", "make a client's keys here, on its own machine, and a request that an administrator takes to `client add`; nothing in it is secret", [
    "client request payroll-service --site plant --folder /etc/payroll/shardkeep --out /media/usb/payroll-service.request",
  ])
    .argument("<id>")
    .option("--site <site>", "the site's name")
    .option("--folder <folder>", "where its keys stay")
    .option("--out <file>", "where the request goes")
    .action(async (name: string, _: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...json, site: id, folder: z.string(), out: z.string() }));
      const asked = argument(from, "ID", id, name);
      requireAbsent(options.out);
      const { requestClient } = await import("../agent/client/index.ts");
      const request = await requestClient(options.folder, options.site, asked);
      writeJson(options.out, request);
      const fingerprint = fingerprintOf(request.body.key);
      result(options.json, { client: asked, fingerprint, out: options.out }, [
        `key of ${asked}: ${fingerprint}`, `next, at an administrator's: shardkeep client add ${asked} --request ${options.out} --out ANSWER; it shows the same key`,
      ]);
    });
}

function acceptCommand(): Command {
  return command("accept", "take the answer of `client add --request` into the folder that asked", [
    "client accept payroll-service.answer --folder /etc/payroll/shardkeep --authority s7qRMW_2I6ejLJi1HnozSSqqCUk7Z_rxKpS_iDnR47k",
  ])
    .argument("<answer>")
    .option("--folder <folder>", "where its keys are")
    .option("--authority <key>", "the site authority's key or fingerprint, as `site show` has it; without it the answer's is believed")
    .action(async (file: string, _: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...json, folder: z.string(), authority: z.string().optional() }));
      const { acceptClient, parseClientAnswer } = await import("../agent/client/index.ts");
      const answer = parseClientAnswer(readText(file));
      const made = acceptClient(options.folder, answer, options.authority);
      const authority = fingerprintOf(answer.authority);
      result(options.json, { client: answer.client, file: made, authority, trust: options.authority === undefined ? "first use" : "compared" }, [
        `authority ${authority}${options.authority === undefined ? ": compare it with `shardkeep site show`" : ", as you named it"}`, ready(answer.client, made),
      ]);
    });
}

const ready = (name: string, file: string): string => `${name} is ready: shardkeep … --client ${file}`;

interface Asked {
  readonly id: string;
  readonly person: string | undefined;
  readonly out: string;
}
interface Wanted extends Asked { readonly enter: (entry: ClientEntry) => Promise<unknown> }
/** As JSON, and in lines for people. */
type Added = readonly [object, readonly string[]];

async function makeHere(admin: Client, { id: added, person, out, enter }: Wanted): Promise<Added> {
  const { addClient } = await import("../agent/client/index.ts");
  const file = await addClient(admin, { id: added, person, folder: out }, enter);
  return [{ client: added, file }, [ready(added, file)]];
}

async function answerRequest(admin: Client, raw: RequestFile, { id: added, person, out, enter }: Wanted): Promise<Added> {
  const { admitClient, judgeClientRequest } = await import("../agent/client/index.ts");
  const request = judgeClientRequest(raw, admin.config.site, added);
  const fingerprint = fingerprintOf(request.body.key);
  note(`key of ${added}: ${fingerprint}; compare it with what \`client request\` showed`);
  const answer = await admitClient(admin, request, person, enter);
  writeJson(out, answer);
  const authority = fingerprintOf(answer.authority);
  return [{ client: added, fingerprint, authority, out }, [`next, where ${added} runs: shardkeep client accept ${out} --folder FOLDER --authority ${authority}`]];
}

/** Keys that are not there yet are made aside and forgotten: their fingerprint says nothing. */
async function* addSteps(one: Client, raw: RequestFile | undefined, { id: added, person, out }: Asked): AsyncGenerator<Step> {
  const { entryOf, hasKeys, judgeClientRequest, requestClient } = await import("../agent/client/index.ts");
  const { site } = one.config;
  if (raw !== undefined) {
    const { key } = judgeClientRequest(raw, site, added).body;
    yield { ...foreseeRecord(one, withClient(entryOf(added, key, person))), fingerprint: fingerprintOf(key) };
    yield { step: "answer", state: "would change", file: out };
    return;
  }
  let key = "";
  await rehearse(out, [], () => undefined, async ({ state }) => { key = (await requestClient(state, site, added)).body.key; });
  const isMade = hasKeys(out);
  yield { step: "keys", state: isMade ? "ok" : "would change", folder: out };
  const { changes, ...entered } = foreseeRecord(one, withClient(entryOf(added, key, person)));
  yield { ...entered, ...(changes === undefined ? {} : { changes: isMade ? changes : changes.map((line) => line.replace(fingerprintOf(key), "to be made")) }) };
  yield { step: "client.yaml", state: "would change" };
}

function addCommand(): Command {
  return command("add", "a client's entry in the site record; once that is sealed people approve it. Its keys are made here, or by `client request` where it will run", [
    "client add alice-laptop --person alice --out alice-laptop", "client add payroll-service --request payroll-service.request --out payroll-service.answer",
    "client add payroll-service --request payroll-service.request --out payroll-service.answer --dry-run",
  ])
    .argument("<id>")
    .option("--person <person>", "for whom it asks; without one it is a service")
    .option("--request <file>", "file of `client request`: then the answer goes to --out")
    .option("--out <path>", "its folder, with client.yaml ready to use; with --request the file of the answer")
    .addOption(reasonOption())
    .option(...dryRunOption)
    .option(...clientOption)
    .action(async (name: string, _: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...client, ...reason, ...dryRun, person: id.optional(), request: z.string().optional(), out: z.string() }));
      const asked: Asked = { id: argument(from, "ID", id, name), person: options.person, out: options.out };
      if (options.request !== undefined) requireAbsent(options.out);
      const request = options.request === undefined ? undefined : readRequest(options.request);
      if (options.dryRun) return await foresee(options, { client: asked.id }, (one) => addSteps(one, request, asked));
      const steps: Step[] = [];
      const [said, lines] = await operating(options.client, (admin, signal) => {
        const enter = async (entry: ClientEntry): Promise<void> => { steps.push(stepOf(await enterClient(admin, entry, options.reason ?? `client add ${asked.id}`, signal))); };
        const wanted: Wanted = { ...asked, enter };
        return request === undefined ? makeHere(admin, wanted) : answerRequest(admin, request, wanted);
      });
      result(options.json, { ...said, steps: [...steps, { step: request === undefined ? "client.yaml" : "answer", state: "changed" }] }, lines);
    });
}

/** Throws UNKNOWN_CLIENT, LAST_ADMINISTRATOR. */
function requireRemovable({ record }: Client, removed: string): void {
  const { clients } = record.body;
  if (!clients.some((known) => known.id === removed)) throw new ShardkeepError("UNKNOWN_CLIENT", `${removed} is no client of this site`, { remedy: "`shardkeep site show` lists the clients" });
  // Who could change the record through nobody any more would have locked the site up.
  if (!clients.some((known) => known.admin && known.id !== removed)) throw new ShardkeepError("LAST_ADMINISTRATOR", `${removed} is the only administrator`, { remedy: "make another client an administrator first: `site apply`" });
}

function* removeSteps(one: Client, removed: string): Generator<Step> {
  requireRemovable(one, removed);
  yield foreseeRecord(one, withoutClient(removed));
}

function removeCommand(): Command {
  return command("remove", "take a client out of the record: it is out at once; once the record is sealed people approve that", ["client remove payroll-service --dry-run", "client remove alice-laptop --reason 'lost on a train'"])
    .argument("<id>")
    .addOption(reasonOption())
    .option(...dryRunOption)
    .option(...clientOption)
    .action(async (name: string, _: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...client, ...reason, ...dryRun }));
      const removed = argument(from, "ID", id, name);
      if (options.dryRun) return await foresee(options, { client: removed }, (one) => removeSteps(one, removed));
      const made = await operating(options.client, (admin, signal) => {
        requireRemovable(admin, removed);
        return changeRecord(admin, {
          edit: withoutClient(removed), reason: options.reason ?? `client remove ${removed}`,
          unsealed: async () => (await admin.request("client-remove", { client: removed })).record,
        }, signal);
      });
      result(options.json, { client: removed, ...made, steps: [stepOf(made)] }, [...linesOf(made, `${removed} is out`), "with Mosquitto: `shardkeep site acl --out FILE` and reload it; the embedded broker knows"]);
    });
}

export function clientCommand(): Command {
  return group("client", "who may ask", [requestCommand(), addCommand(), acceptCommand(), removeCommand()]);
}

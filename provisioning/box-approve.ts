import type { Command } from "commander";
import { z } from "zod";
import type { Client } from "../agent/client/index.ts";
import type { BoxAnswer } from "../agent/protocol/joining.ts";
import { judgeBoxRequest } from "../agent/rules/joining.ts";
import { withBox } from "../agent/rules/record-edits.ts";
import { fingerprintOf } from "../agent/runtime/fingerprint.ts";
import { operating } from "./connected.ts";
import { dryRun, dryRunOption } from "./dry-run.ts";
import { readText, requireAbsent, writeJson } from "./files.ts";
import { foresee, foreseeRecord } from "./foresee.ts";
import { client, clientOption, command, optionsOf } from "./options.ts";
import { result } from "./output.ts";
import { changeRecord, reason, reasonOption } from "./record-change.ts";
import type { Step } from "./steps.ts";

export type RequestFile = z.infer<ReturnType<typeof z.json>>;

export function readRequest(file: string): RequestFile {
  const text = readText(file);
  try {
    return z.json().parse(JSON.parse(text));
  } catch {
    return text.slice(0, 1000); // no request either: the refusal names what to do
  }
}

/** Lets a box in: once the record is sealed people approve that first; then the coordinator answers the request. */
export async function approve(one: Client, request: RequestFile, why: string | undefined, signal: AbortSignal): Promise<BoxAnswer> {
  if (one.record.body.sealed) {
    const { by, body } = judgeBoxRequest(request, one.record);
    await changeRecord(one, { edit: withBox({ id: by, ...body }), reason: why ?? `site approve ${by}`, unsealed: () => Promise.resolve(one.record) }, signal);
  }
  return (await one.request("box-approve", { request })).answer;
}

export function answerLines({ body: { box, record } }: BoxAnswer, out: string): string[] {
  return [
    `${box} is in record version ${record.body.version}`,
    `next, at the box: shardkeep box accept ${out} --config FILE --authority ${fingerprintOf(record.body.authority)}`,
  ];
}

function* approveSteps(one: Client, request: RequestFile, out: string): Generator<Step> {
  const { by, body } = judgeBoxRequest(request, one.record);
  yield { ...foreseeRecord(one, withBox({ id: by, ...body })), box: by };
  yield { step: "answer", state: "would change", file: out };
}

export function approveCommand(): Command {
  return command("approve", "let a box in: takes its request, writes the site's answer; once the record is sealed people approve that", [
    "site approve box-1.request.json --out box-1.answer.json", "site approve box-6.request.json --out box-6.answer.json --dry-run", "site approve box-6.request.json --out box-6.answer.json --reason 'a spare for the annex'",
  ])
    .argument("<request>", "file of `shardkeep box request`")
    .option("--out <file>", "where the answer goes")
    .addOption(reasonOption())
    .option(...dryRunOption)
    .option(...clientOption)
    .action(async (file: string, _: unknown, from: Command) => {
      const options = optionsOf(from, z.strictObject({ ...client, ...reason, ...dryRun, out: z.string() }));
      requireAbsent(options.out);
      const request = readRequest(file);
      if (options.dryRun) return await foresee(options, {}, (one) => approveSteps(one, request, options.out));
      const answer = await operating(options.client, (one, signal) => approve(one, request, options.reason, signal));
      writeJson(options.out, answer);
      const { box, record } = answer.body;
      result(options.json, { box, version: record.body.version, authority: fingerprintOf(record.body.authority), out: options.out }, answerLines(answer, options.out));
    });
}

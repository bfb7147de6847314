import { Option } from "commander";
import { z } from "zod";
import type { Client } from "../agent/client/index.ts";
import type { SiteRecord } from "../agent/protocol/site-record.ts";
import { mayAttest } from "../agent/rules/policy.ts";
import { nextBody, type Edit } from "../agent/rules/record-edits.ts";
import { operationFor } from "../agent/rules/record-step.ts";
import { changesInWords } from "../agent/rules/record-words.ts";
import { note } from "./output.ts";
import { waiting } from "./progress.ts";
import type { Step } from "./steps.ts";

/** Shown to the people who approve; only a sealed record asks anybody. */
export const reason = { reason: z.string().min(1).max(200).optional() };
export const reasonOption = () => new Option("--reason <text>", "shown to the people who approve, once the record is sealed");

export interface Changed {
  readonly version: number;
  /** In words; empty if the record says already what was asked for. */
  readonly changes: readonly string[];
  /** What every display showed; null while the record is unsealed. */
  readonly code: string | null;
}

export interface Change {
  /** What makes the next version of the one that is there. */
  readonly edit: Edit;
  readonly reason: string;
  /** How an administrator changes an unsealed record. */
  readonly unsealed: () => Promise<SiteRecord>;
}

/** At whose sensors the fingers are wanted: every person that may count, and where. */
export function sensorsFor(record: SiteRecord, rule: Parameters<typeof mayAttest>[1], client: string): string[] {
  const { body } = record;
  const requester = body.clients.find(({ id }) => id === client)?.person;
  return body.people.filter(({ id, fingers }) => fingers.length > 0 && mayAttest(body, rule, requester, id))
    .map(({ id, fingers }) => `${id} at ${[...new Set(fingers.map(({ box }) => box))].join(" or ")}`);
}

/**
 * A change of the site record as a person makes it: while it is unsealed an administrator's word is enough; from then
 * on what changes is said, whose fingers are wanted and where, and the people approve it (protocol.md §2).
 */
export async function changeRecord(client: Client, { edit, reason: why, unsealed }: Change, signal: AbortSignal): Promise<Changed> {
  const { record } = client;
  const body = nextBody(record, edit);
  const changes = changesInWords(record.body, body);
  if (!record.body.sealed) return { version: (await unsealed()).body.version, changes, code: null };
  if (changes.length === 0) return { version: record.body.version, changes, code: null };
  note(`version ${body.version} of the site record:`);
  for (const line of changes) note(`  ${line}`);
  const shown = waiting();
  let code: string | null = null;
  try {
    const next = await client.changeRecord({ operation: operationFor(record, body), body, reason: why }, {
      signal,
      onProgress: (progress) => {
        shown.show(progress);
        if (progress.state !== "accepted") return;
        code = progress.code;
        note(`wanted: ${sensorsFor(record, progress.rule, client.config.client).join("; ")}`);
      },
    });
    return { version: next.body.version, changes, code };
  } finally {
    shown.end();
  }
}

/** What became of it, as a step: as a dry run says it. */
export function stepOf({ changes }: Changed): Step {
  return { step: "record", state: changes.length === 0 ? "ok" : "changed" };
}

/** The lines for people that end such a command. */
export function linesOf({ version, changes }: Changed, what: string): string[] {
  return [changes.length === 0 ? `nothing to change: record version ${version} says so already` : `${what}, record version ${version}`];
}

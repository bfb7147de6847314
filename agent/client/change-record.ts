import { recordTarget, type UseBody } from "../protocol/request.ts";
import { generateRecipient } from "../protocol/seal.ts";
import { recordHashOf, type SiteRecord, type SiteRecordBody } from "../protocol/site-record.ts";
import { signStatement, statementHash } from "../protocol/statement.ts";
import { toBase64url } from "../runtime/encoding.ts";
import { ClientError } from "./errors.ts";
import { Following, suspicious, type UseOptions } from "./following.ts";
import type { UseParts } from "./use.ts";

export interface RecordChange {
  readonly operation: "record" | "readmit";
  /** The version after the one that was verified here. */
  readonly body: SiteRecordBody;
  /** 1 to 200 characters, shown to the people who approve. */
  readonly reason: string;
}

/** A key to which nothing is sealed: an approved version is public. */
function unusedKey(): string {
  const recipient = generateRecipient();
  recipient.destroy();
  return toBase64url(recipient.publicKey);
}

/**
 * Asks the people of the present version to approve the next (protocol.md §2). What is signed here is the hash of the
 * version, so nobody can have another one approved; what comes back must be that very version.
 */
export async function runRecordChange(parts: UseParts, current: SiteRecord, { operation, body, reason }: RecordChange, options: UseOptions = {}): Promise<SiteRecord> {
  const commitment = recordHashOf(current, body);
  const asked: UseBody = { request: toBase64url(parts.random.bytes(16)), reason, ...recordTarget, operation, commitment, resultKey: unusedKey() };
  const use = await signStatement(parts.signer, "use", parts.site, parts.client, asked);
  const { answer } = await new Following(parts, { use, ask: (how) => parts.request("record-change", { use, body }, how) }, options).answer();
  if (statementHash(answer.record) !== commitment) throw new ClientError("REQUEST_CHANGED", "the coordinator made another version than the one that was asked for", { remedy: suspicious });
  return answer.record;
}

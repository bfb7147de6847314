import { generateSigner } from "../../agent/protocol/es256.ts";
import { recordHashOf, recoveryMessage, type SiteRecord, type SiteRecordBody } from "../../agent/protocol/site-record.ts";
import { statementHash } from "../../agent/protocol/statement.ts";
import { toBase64url } from "../../agent/runtime/encoding.ts";

/** A recovery key whose cards lie together, and a thief's. */
export const custodians = generateSigner();
export const thief = generateSigner();

export function signRecovery(current: SiteRecord, body: SiteRecordBody, by = custodians): string {
  return toBase64url(by.sign(recoveryMessage(current.site, statementHash(current), recordHashOf(current, body))) as Uint8Array);
}

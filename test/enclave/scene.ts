import { createHash } from "node:crypto";
import { keyCheckValue, payloadCommitment, saltedPayload } from "../../agent/protocol/ciphertext.ts";
import { generateSigner } from "../../agent/protocol/es256.ts";
import { keyRecordHash, releaseContext, sharePrefix, type Join, type KeyRecord, type Plan } from "../../agent/protocol/key-record.ts";
import { requestDigest, type EnclaveKeys, type RequestFields, type Use, type UseBody } from "../../agent/protocol/request.ts";
import { openResult, sealPayload, type SignedResult } from "../../agent/protocol/result.ts";
import { generateRecipient } from "../../agent/protocol/seal.ts";
import { sealToText } from "../../agent/protocol/sealed.ts";
import { signStatement, statementHash } from "../../agent/protocol/statement.ts";
import { fromBase64url, toBase64url } from "../../agent/runtime/encoding.ts";
import { systemRandom } from "../../agent/runtime/random.ts";
import { splitSecret } from "../../agent/sharding/shamir.ts";
import type { OperateArgs, PayloadArgs, SealedShard } from "../../agent/enclave/calls.ts";

/** The other parties of an operation: a client with its keys, holders with known shares of a known key. */
export const site = "lab";
export const bytesOf = (text: string): Uint8Array => fromBase64url(text)!;
export const text = (length: number): string => toBase64url(systemRandom.bytes(length));
export const sha256 = (...parts: readonly Uint8Array[]): string => toBase64url(createHash("sha256").update(Buffer.concat(parts)).digest());

export interface Holder {
  readonly box: string;
  readonly x: number;
  share: Uint8Array;
}

export interface Key {
  readonly master: Uint8Array;
  readonly holders: Holder[];
  readonly record: KeyRecord;
}

/** The record that matches these shares. */
export function recordOf(master: Uint8Array, holders: readonly Holder[], threshold: number, change: Partial<KeyRecord> = {}): KeyRecord {
  const [key, epoch, attempt, version] = [change.key ?? "payroll", change.epoch ?? 2, change.attempt ?? 3, change.version ?? 1];
  return {
    site, key, kind: "aes-256", version, epoch, attempt, threshold, size: holders.length, margin: 1,
    holders: holders.map(({ box, x, share }) => ({ box, x, digest: sha256(sharePrefix(site, { key, epoch, attempt, box, x }), share) })),
    check: keyCheckValue(master, site, key, version), plan: text(32), previous: null, imported: null, ...change,
  };
}

export async function makeKey(threshold: number, xs: readonly number[], change: Partial<KeyRecord> = {}): Promise<Key> {
  const master = systemRandom.bytes(32);
  const shares = await splitSecret(master, threshold, xs);
  const holders = xs.map((x, i) => ({ box: `box-${i + 1}`, x, share: shares[i]! }));
  return { master, holders, record: recordOf(master, holders, threshold, change) };
}

const clientKey = generateSigner();
export const result = generateRecipient();

export interface Asked {
  readonly use: Use;
  readonly salted: Uint8Array;
}

export async function ask(payload: Uint8Array, change: Partial<UseBody> = {}): Promise<Asked> {
  const salt = systemRandom.bytes(32);
  const body: UseBody = {
    request: text(16), reason: "march", key: "payroll", operation: "encrypt", resource: "payroll/march",
    commitment: payloadCommitment(site, salt, payload), resultKey: toBase64url(result.publicKey), ...change,
  };
  return { use: await signStatement(clientKey, "use", site, "cli", body), salted: saltedPayload(salt, payload) };
}

export function payloadFor({ use, salted }: Asked, enclave: EnclaveKeys): PayloadArgs {
  return { site, use: use.body, ...sealPayload(site, use.body, enclave.seal, salted) };
}

export function fieldsFor(use: Use, enclave: EnclaveKeys, of: { readonly epoch: number; readonly attempt: number; readonly record: string }): RequestFields {
  return {
    use, ...of, enclave, coordinator: { id: "hq", boot: text(16) }, siteRecord: { version: 7, hash: text(32) }, deadlineMs: 60_000,
    nonces: [{ box: "box-1", nonce: text(16) }, { box: "box-2", nonce: text(16) }],
  };
}

/** A holder's release: its share sealed to the enclave key inside these fields. */
export function release(fields: RequestFields, { key, epoch, attempt }: KeyRecord, { box, x, share }: Holder, digest = requestDigest(fields)): SealedShard {
  const info = releaseContext(site, digest, { key, epoch, attempt, box, x }, fields.record);
  return { box, ...sealToText(fields.enclave.seal, info, new Uint8Array(), share) };
}

/** All that `operate` needs, released by the holders with these numbers. */
export function operation(asked: Asked, enclave: EnclaveKeys, { record, holders }: Key, by: readonly number[]): OperateArgs {
  const fields = fieldsFor(asked.use, enclave, { epoch: record.epoch, attempt: record.attempt, record: keyRecordHash(record) });
  return { fields, record, shards: by.map((i) => release(fields, record, holders[i]!)) };
}

export function openSigned(fields: RequestFields, signed: SignedResult): Uint8Array {
  return openResult(result, site, requestDigest(fields), fields.enclave.sign, signed);
}

export interface Birth {
  readonly asked: Asked;
  readonly plan: Plan;
  readonly joins: Join[];
  readonly receivers: readonly ReturnType<typeof generateRecipient>[];
}

/** A request to make a key, its plan and the holders' JOINs. */
export async function birth(threshold: number, xs: readonly number[], imported?: Uint8Array): Promise<Birth> {
  const holders = xs.map((_, i) => `box-${i + 1}`);
  const asked = await ask(imported ?? new Uint8Array(), { operation: "create", create: { kind: "aes-256", threshold, holders, imported: imported !== undefined } });
  const plan = await signStatement(clientKey, "plan", site, "hq", {
    request: asked.use.body.request, key: "payroll", kind: "aes-256" as const, epoch: 1, attempt: 1, threshold,
    holders: xs.map((x, i) => ({ box: `box-${i + 1}`, x })), previous: null,
  });
  const receivers = xs.map(() => generateRecipient());
  const joins = await Promise.all(receivers.map(({ publicKey }, i) => signStatement(clientKey, "join", site, `box-${i + 1}`, { plan: statementHash(plan), key: toBase64url(publicKey) })));
  return { asked, plan, joins, receivers };
}

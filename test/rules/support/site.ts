import { generateSigner } from "../../../agent/protocol/es256.ts";
import type { Evidence } from "../../../agent/protocol/evidence.ts";
import type { ApprovalFields, KeyParameters, RequestFields, UseBody } from "../../../agent/protocol/request.ts";
import { refOf, rule, type SiteRecord, type SiteRecordBody } from "../../../agent/protocol/site-record.ts";
import { signStatement } from "../../../agent/protocol/statement.ts";
import { toBase64url } from "../../../agent/runtime/encoding.ts";

/** Who signs on this site, and a stranger. */
export const keys = Object.fromEntries(["authority", "coordinator", "box-1", "box-2", "box-3", "cli", "service", "enclave", "stranger"].map((id) => [id, generateSigner()])) as Record<string, ReturnType<typeof generateSigner>>;
export const keyOf = (id: string): string => keys[id]!.publicKey;
export const filled = (length: number, byte: number): string => toBase64url(new Uint8Array(length).fill(byte));
export const boot = filled(16, 1);
export const nonce = filled(16, 2);

const finger = (box: string, slot: number, template: number) => ({ name: "index", box, slot, template: filled(32, template) });
export const body: SiteRecordBody = {
  version: 5, previous: filled(32, 9), sealed: true, authority: keyOf("authority"), tlsAuthority: filled(32, 8),
  coordinator: { id: "coordinator", key: keyOf("coordinator") },
  boxes: ["box-1", "box-2", "box-3"].map((id) => ({ id, zone: "here", key: keyOf(id) })),
  people: [
    { id: "alice", roles: ["officer"], fingers: [finger("box-1", 0, 11)] },
    { id: "bob", roles: ["officer"], fingers: [finger("box-2", 0, 12), { ...finger("box-3", 0, 13), name: "thumb" }] },
  ],
  clients: [{ id: "cli", key: keyOf("cli"), person: "alice", admin: true }, { id: "service", key: keyOf("service"), admin: false }],
  roles: ["officer"],
  rules: [
    rule.parse({ key: "payroll", resource: "payroll/**", operations: ["decrypt", "create"], require: [{ role: "officer", people: 1 }] }),
    rule.parse({ key: "payroll", resource: "payroll/**", operations: ["mac"], require: [{ role: "officer", people: 1 }], confirm: "code" }),
  ],
};
export const signRecord = (change: Partial<SiteRecordBody> = {}, by = "coordinator", signer = "authority"): Promise<SiteRecord> =>
  signStatement(keys[signer]!, "site-record", "demo", by, { ...body, ...change });
export const record = await signRecord();

export const useBody: UseBody = {
  request: filled(16, 3), reason: "test", key: "payroll", operation: "decrypt", resource: "payroll/march", commitment: filled(32, 4), resultKey: keyOf("stranger"),
};
export const create: KeyParameters = { kind: "aes-256", threshold: 2, holders: ["box-1", "box-2", "box-3"], imported: false };

export async function makeFields(change: Partial<RequestFields> = {}, use: Partial<UseBody> = {}, by = "cli", signer = by): Promise<RequestFields> {
  return {
    use: await signStatement(keys[signer]!, "use", "demo", by, { ...useBody, ...use }),
    epoch: 1, attempt: 1, record: filled(32, 5), enclave: { seal: keyOf("stranger"), sign: keyOf("enclave") },
    coordinator: { id: "coordinator", boot }, siteRecord: refOf(record), deadlineMs: 60_000,
    nonces: [{ box: "box-1", nonce }, { box: "box-2", nonce: filled(16, 6) }], ...change,
  };
}

/** Likewise of what is only approved: no enclave takes part. */
export async function makeApprovalFields(...as: Parameters<typeof makeFields>): Promise<ApprovalFields> {
  const fields: Partial<RequestFields> = await makeFields(...as);
  delete fields.enclave;
  return fields as ApprovalFields;
}

/** Alice's finger at box-1, or what `change` makes of it. */
export const makeEvidence = (digest: string, change: Partial<Evidence["body"]> = {}, by = "box-1", signer = by): Promise<Evidence> =>
  signStatement(keys[signer]!, "evidence", "demo", by, {
    digest, boot, person: "alice", finger: "index", template: filled(32, 11), modality: "fingerprint" as const, class: "B" as const,
    score: 100, display: "none" as const, confirm: "none" as const, sensor: "device" as const, ...change,
  });

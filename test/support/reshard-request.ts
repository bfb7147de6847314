import type { Evidence } from "../../agent/protocol/evidence.ts";
import { keyRecordHash, type KeyRecord } from "../../agent/protocol/key-record.ts";
import { requestDigest, type RequestFields } from "../../agent/protocol/request.ts";
import type { ProvedUse } from "../../agent/protocol/reshard.ts";
import { refOf } from "../../agent/protocol/site-record.ts";
import { signStatement } from "../../agent/protocol/statement.ts";
import { filled, keys, makeEvidence, makeFields } from "../rules/support/site.ts";
import { site, type FleetBox, type ReshardFleet } from "./reshard-fleet.ts";

export interface Request { readonly fields: RequestFields; readonly evidence: readonly Evidence[]; readonly digest: string }

let requests = 0;

/** Alice at box-1 lets the service decrypt with this record of the key; `box` is asked. */
export async function request(fleet: ReshardFleet, box: FleetBox, record: KeyRecord, change: Partial<RequestFields> = {}): Promise<Request> {
  const fields = await makeFields({
    epoch: record.epoch, attempt: record.attempt, record: keyRecordHash(record), siteRecord: refOf(fleet.record), deadlineMs: 60_000,
    nonces: fleet.box(1) === box ? [{ box: "box-1", nonce: box.nonces.issue() }] : [{ box: "box-1", nonce: fleet.box(1).nonces.issue() }, { box: box.id, nonce: box.nonces.issue() }],
    ...change,
  }, { request: filled(16, requests += 1) }, "service");
  const digest = requestDigest(fields);
  const { body } = await makeEvidence(digest);
  const evidence = await signStatement({ sign: (message) => fleet.box(1).hsm.sign("identity", message) }, "evidence", site, "box-1", body);
  return { fields, evidence: [evidence], digest };
}

/** PROVED: such a request, and its enclave's word that it was done. */
export async function prove(fleet: ReshardFleet, record: KeyRecord): Promise<ProvedUse> {
  const { fields, evidence, digest } = await request(fleet, fleet.box(1), record);
  const result = filled(32, 72);
  const { sig } = await signStatement(keys["enclave"]!, "result", site, "enclave", { digest, result });
  return { fields, evidence: [...evidence], result, sig };
}

import t from "tap";
import type { Evidence } from "../../../agent/protocol/evidence.ts";
import { batchHash, type ProvedUse, type ReshardPlan } from "../../../agent/protocol/reshard.ts";
import { requestDigest, type RequestFields, type UseBody } from "../../../agent/protocol/request.ts";
import { signStatement, statementHash } from "../../../agent/protocol/statement.ts";
import { isUnproven, requireProved } from "../../../agent/rules/reshard/proof.ts";
import { makeEvidence, makeFields } from "../support/site.ts";
import { filled, keys, makePlan, member, members, record } from "./support.ts";

const [next, another] = [filled(32, 70), filled(32, 71)];
const unproven: Partial<ReshardPlan["body"]> = { witnesses: members(1, 2, 3), holders: [...members(1, 2, 3), member(6)] };
const plan = await makePlan(unproven);
const batchOf = (one: ReshardPlan, ...records: readonly string[]): string => batchHash("demo", statementHash(one), records);
const batch = batchOf(plan, next);

interface Change { readonly fields?: Partial<RequestFields>; readonly use?: Partial<UseBody>; readonly by?: string; readonly signer?: string; readonly evidence?: Partial<Evidence["body"]>; readonly enclave?: string; readonly finger?: string }

/** Alice's finger at box-1 for a decryption with the new shards, and the enclave's word that it was done. */
async function prove({ fields: change, use, by = "service", signer = by, evidence: about, enclave = "enclave", finger = "box-1" }: Change = {}): Promise<ProvedUse> {
  const fields = await makeFields({ record: next, ...change }, use, by, signer);
  const digest = requestDigest(fields);
  const { body } = await makeEvidence(digest, about);
  const evidence = await signStatement(keys[finger]!, "evidence", "demo", "box-1", body);
  const result = filled(32, 72);
  const { sig } = await signStatement(keys[enclave]!, "result", "demo", "enclave", { digest, result });
  return { fields, evidence: [evidence], result, sig };
}

void t.test("what has as many witnesses as the threshold is unproven", async (t) => {
  t.ok(isUnproven(plan));
  t.notOk(isUnproven(await makePlan({ witnesses: members(1, 2, 3, 4) })));
});

void t.test("what proves itself asks for no PROVED", async (t) => {
  const proven = await makePlan();
  t.doesNotThrow(() => { requireProved(proven, batchOf(proven, next), null, record); });
});

void t.test("PROVED: an attested operation on exactly these new shards, and its enclave's word", async (t) => {
  const proof = await prove();
  t.doesNotThrow(() => { requireProved(plan, batch, proof, record); });
  const refused = (what: string, code: string, one: ProvedUse | null, of = batch): void => {
    t.throws(() => { requireProved(plan, of, one, record); }, { code }, what);
  };
  refused("none", "NOT_PROVED", null);
  refused("on another record, the old one's say", "NOT_PROVED", await prove({ fields: { record: another } }));
  refused("of another batch", "NOT_PROVED", proof, batchOf(plan, another));
  refused("of two records", "NOT_PROVED", proof, batchOf(plan, next, another));
  refused("on another key", "NOT_PROVED", await prove({ use: { key: "backup" } }));
  refused("of a result that the enclave did not sign", "NOT_PROVED", { ...proof, result: filled(32, 73) });
  refused("by another enclave", "NOT_PROVED", await prove({ enclave: "stranger" }));
  refused("of other fields than the enclave signed", "EVIDENCE_INVALID", { ...proof, fields: { ...proof.fields, deadlineMs: 5000 } });
  refused("a client of no site", "UNKNOWN_CLIENT", await prove({ by: "stranger" }));
  refused("a request that the client did not sign", "REQUEST_FORGED", await prove({ signer: "stranger" }));
  refused("an operation that no rule names", "NOT_PERMITTED", await prove({ use: { operation: "wrap" } }));
  refused("without people", "NOT_PERMITTED", { ...proof, evidence: [] });
  refused("evidence that the box did not sign", "EVIDENCE_INVALID", await prove({ finger: "stranger" }));
  refused("a finger that is not in the record", "EVIDENCE_INVALID", await prove({ evidence: { finger: "thumb" } }));
  const found = (() => { try { requireProved(plan, batch, null, record); } catch (error) { return error; } return undefined; })();
  t.match(found, { retryable: true }, "it may come yet");
});

void t.test("no nonce, session or version makes it old", async (t) => {
  const old = await prove({ fields: { nonces: [{ box: "box-9", nonce: filled(16, 1) }], coordinator: { id: "coordinator", boot: filled(16, 99) }, siteRecord: { version: 1, hash: filled(32, 1) } } });
  t.doesNotThrow(() => { requireProved(plan, batch, old, record); });
});

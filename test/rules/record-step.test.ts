import t from "tap";
import type { Approval } from "../../agent/protocol/approval.ts";
import { requestDigest, type RequestFields, type UseBody } from "../../agent/protocol/request.ts";
import { refOf, rule, type SiteRecord, type SiteRecordBody } from "../../agent/protocol/site-record.ts";
import { statementHash } from "../../agent/protocol/statement.ts";
import { nextBody, withoutPerson, withPolicy, withReadmitted, type Edit } from "../../agent/rules/record-edits.ts";
import { judgeProposal, judgeStep, walkChain } from "../../agent/rules/record-step.ts";
import { body, filled, keyOf, makeEvidence, makeApprovalFields, record as unchangeable, signRecord } from "./support/site.ts";

const [alice, bob] = body.people as [typeof body.people[number], typeof body.people[number]];
/** A third one, so that one of them can leave. */
const carol = { id: "carol", roles: ["officer"], fingers: [{ name: "index", box: "box-2", slot: 7, template: filled(32, 14) }] };
const changing = rule.parse({ key: "site", operations: ["record"], require: [{ role: "officer", people: 2 }] });
const content: Partial<SiteRecordBody> = { people: [alice, bob, carol], rules: [...body.rules, changing] };
const current = await signRecord(content);
const never = (): boolean => false;

interface Forged { readonly fields?: Partial<RequestFields>; readonly use?: Partial<UseBody>; readonly by?: string; readonly evidence?: (digest: string) => Promise<Approval["evidence"]> }

/** Bob's thumb at box-3 and Carol's finger at box-2: Alice, for whom the client asks, does not count. */
const bobAndCarol = (digest: string) => Promise.all([
  makeEvidence(digest, { person: "bob", finger: "thumb", template: filled(32, 13) }, "box-3"), makeEvidence(digest, { person: "carol", template: filled(32, 14) }, "box-2"),
]);

async function approve(from: SiteRecord, next: SiteRecord, { fields = {}, use = {}, by, evidence = bobAndCarol }: Forged = {}): Promise<SiteRecord> {
  const hash = statementHash(next);
  const made = await makeApprovalFields({ siteRecord: refOf(from), record: hash, nonces: [], ...fields }, { key: "site", operation: "record", resource: "record", commitment: hash, ...use }, by);
  return { ...next, approval: { fields: made, evidence: await evidence(requestDigest(made)) } };
}
const after = (from: SiteRecord, edit: Edit, signer?: string): Promise<SiteRecord> => signRecord(nextBody(from, edit), "coordinator", signer);
const step = async (edit: Edit, forged?: Forged): Promise<SiteRecord> => approve(current, await after(current, edit), forged);
const fewer = { roles: ["officer"], people: content.people!.map(({ id, roles }) => ({ id, roles })), clients: [], rules: [changing] };
const same: Edit = (one) => one;

void t.test("a sealed record changes with the evidence of its own rule, and what was approved is what comes", async (t) => {
  const next = await step(withPolicy(fewer));
  t.doesNotThrow(() => { judgeStep(current, next, never); });
  const without = await step(withPolicy({ ...fewer, people: fewer.people.slice(1), clients: [{ id: "cli", admin: true }] }));
  t.doesNotThrow(() => { judgeStep(current, without, never); }, "an officer leaves, two are left");
});

void t.test("every step that may not be, each by its name", async (t) => {
  const refused = (code: string, next: SiteRecord, message?: string, from = current): void => { t.throws(() => { judgeStep(from, next, never); }, { code }, message ?? code); };
  const plain = await after(current, withPolicy(fewer));
  refused("RECORD_SEALED", plain, "without evidence, signed by the authority");
  refused("RECORD_FORGED", { ...await step(withPolicy(fewer)), sig: (await after(current, withPolicy(fewer), "stranger")).sig }, "with evidence, not signed by the authority");
  refused("RECORD_NOT_APPROVED", { ...await after(current, withoutPerson("bob")), approval: (await step(withPolicy(fewer))).approval }, "evidence for another successor");
  refused("RECORD_NOT_APPROVED", await step(same, { use: { commitment: filled(32, 0) } }));
  refused("RECORD_NOT_APPROVED", await step(same, { fields: { record: filled(32, 0) } }));
  refused("WRONG_SITE_RECORD", await step(same, { fields: { siteRecord: refOf(unchangeable) } }), "evidence for a step from another version");
  refused("EVIDENCE_INVALID", await step(same, { evidence: async () => bobAndCarol(filled(32, 0)) }), "evidence for another request");
  refused("NOT_PERMITTED", await step(same, { evidence: async (digest) => (await bobAndCarol(digest)).slice(1) }), "one of two");
  refused("NOT_PERMITTED", await step(same, { evidence: () => Promise.resolve([]) }), "nobody");
  refused("NOT_PERMITTED", await step(same, { evidence: async (digest) => [await makeEvidence(digest), ...(await bobAndCarol(digest)).slice(1)] }), "the requester does not count");
  refused("NOT_PERMITTED", await step(same, { evidence: async (digest) => { const [one] = await bobAndCarol(digest); return [one, one]; } }), "nobody counts twice");
  refused("EVIDENCE_INVALID", await step((one) => ({ ...one, people: [...one.people, { ...carol, id: "dave", fingers: [{ ...carol.fingers[0]!, slot: 9 }] }] }), {
    evidence: async (digest) => [...(await bobAndCarol(digest)).slice(0, 1), await makeEvidence(digest, { person: "dave", template: filled(32, 14) }, "box-2")],
  }), "evidence of somebody whom only the next version knows");
  refused("UNKNOWN_CLIENT", await step(same, { by: "stranger" }));
  refused("RECORD_NOT_APPROVED", await step(same, { use: { operation: "decrypt", key: "payroll", resource: "payroll/x" } }), "evidence under another rule");
  refused("REQUEST_FORGED", await step(same, { use: { key: "payroll" } }));
  refused("REQUEST_FORGED", await step(same, { use: { resource: "payroll/x" } }), "the requester chooses no rule by the resource");
  refused("RECORD_SEALED", await step((one) => ({ ...one, sealed: false })), "the seal stays");
  refused("RECORD_FORGED", await step((one) => ({ ...one, authority: keyOf("stranger") })), "the authority stays");
  refused("RECORD_UNCHANGEABLE", await step((one) => ({ ...one, rules: one.rules.slice(0, 1) })), "without a rule `record`");
  refused("RECORD_UNCHANGEABLE", await step((one) => ({ ...one, people: [alice] })), "with too few people for it");
  refused("RECORD_INVALID", await step(withoutPerson("alice")), "a client acts for her");
  refused("NOT_PERMITTED", await approve(unchangeable, await signRecord({ ...nextBody(unchangeable, same), ...content })), "a record that was sealed without such a rule", unchangeable);
  t.throws(() => { judgeStep(current, plain, never); }, { message: /version 6/ });
});

void t.test("an unsealed record needs no approval, and takes none", async (t) => {
  const open = await signRecord({ ...content, sealed: false });
  const sealing = await after(open, (one) => ({ ...one, sealed: true }));
  t.doesNotThrow(() => { judgeStep(open, sealing, never); });
  const approved = await approve(open, sealing);
  t.throws(() => { judgeStep(open, approved, never); }, { code: "RECORD_INVALID" });
});

void t.test("a readmission goes under its own rule, and nothing else does", async (t) => {
  const alone = rule.parse({ key: "site", operations: ["readmit"], require: [{ person: "bob" }] });
  const from = await signRecord({ ...content, rules: [...body.rules, changing, alone] });
  const bob = async (digest: string) => (await bobAndCarol(digest)).slice(0, 1);
  const asked = async (edit: Edit, how: Forged = {}) => approve(from, await after(from, edit), { evidence: bob, use: { operation: "readmit" }, ...how });
  const readmitted = await asked(withReadmitted("box-2"));
  t.doesNotThrow(() => { judgeStep(from, readmitted, never); });
  t.doesNotThrow(() => { judgeProposal(from, readmitted.approval!.fields, readmitted.body); });
  const both: Edit = (one) => ({ ...withReadmitted("box-1")(one), boxes: withReadmitted("box-1")({ ...one, boxes: withReadmitted("box-2")(one).boxes }).boxes });
  for (const [what, edit] of [
    ["nothing", same], ["two boxes at once", both], ["a rule beside it", (one) => ({ ...withReadmitted("box-2")(one), rules: [changing] })], ["a box of no site", withReadmitted("box-9")],
  ] satisfies [string, Edit][]) {
    const next = await asked(edit);
    t.throws(() => { judgeStep(from, next, never); }, { code: "RECORD_NOT_APPROVED" }, what);
    t.throws(() => judgeProposal(from, next.approval!.fields, next.body), { code: "RECORD_NOT_APPROVED" }, what);
  }
  const refused = async (code: string, how: Forged): Promise<void> => {
    const next = await asked(withReadmitted("box-2"), how);
    t.throws(() => { judgeStep(from, next, never); }, { code }, code);
  };
  await refused("NOT_PERMITTED", { evidence: () => Promise.resolve([]) });
  await refused("NOT_PERMITTED", { use: { operation: "record" } });
  await refused("REQUEST_FORGED", { use: { operation: "readmit", resource: "payroll/x" } });
});

void t.test("evidence of a box that was in quarantine while the version was in force", async (t) => {
  const next = await step(same);
  const asked: [string, number][] = [];
  t.throws(() => { judgeStep(current, next, (box, version) => { asked.push([box, version]); return box === "box-2"; }); }, { code: "QUARANTINED" });
  t.strictSame(asked, [["box-3", 5], ["box-2", 5]]);
});

void t.test("a chain is walked one by one: no rollback, no gap, no fork", async (t) => {
  const second = await step(withPolicy(fewer));
  const third = await approve(second, await after(second, same));
  const fork = await step((one) => ({ ...one, tlsAuthority: filled(32, 1) }));
  const walk = (from: SiteRecord, ...chain: SiteRecord[]) => walkChain(from, chain, never);
  t.equal(walk(current, second, third), third);
  t.equal(walk(current), current);
  const refused = (code: string, from: SiteRecord, ...chain: SiteRecord[]): void => { t.throws(() => walk(from, ...chain), { code }); };
  refused("RECORD_GAP", current, third);
  refused("RECORD_OLD", third, second);
  refused("RECORD_OLD", third, current);
  refused("RECORD_FORK", second, fork);
  refused("RECORD_GAP", fork, third);
  refused("RECORD_SEALED", current, second, { ...third, approval: undefined });
  refused("WRONG_SITE_RECORD", current, second, { ...third, approval: second.approval });
});

import t from "tap";
import type { Client } from "../../agent/client/index.ts";
import type { Progress } from "../../agent/client/use.ts";
import { requestDigest, recordTarget } from "../../agent/protocol/request.ts";
import { rule, type SiteRecord, type SiteRecordBody } from "../../agent/protocol/site-record.ts";
import { statementHash } from "../../agent/protocol/statement.ts";
import { nextBody, withoutPerson, withReadmitted, type Edit } from "../../agent/rules/record-edits.ts";
import { changeRecord, linesOf, sensorsFor } from "../../provisioning/record-change.ts";
import { provenChain, stepLine } from "../../provisioning/record-chain.ts";
import { refOf } from "../../agent/protocol/site-record.ts";
import { body, filled, makeEvidence, makeApprovalFields, signRecord } from "../rules/support/site.ts";

const changing = rule.parse({ key: "site", operations: ["record"], require: [{ role: "officer", people: 1 }] });
const content: Partial<SiteRecordBody> = { rules: [...body.rules, changing] };
const { signal } = new AbortController();

/** A client that works with `record` and notes what it is asked. */
function fakeClient(record: SiteRecord, chain: readonly SiteRecord[] = []) {
  const asked: { body: SiteRecordBody; reason: string }[] = [];
  const pages: number[] = [];
  const client = {
    record, config: { client: "cli" },
    changeRecord: async (change: typeof asked[number], { onProgress }: { onProgress: (progress: Progress) => void }) => {
      asked.push(change);
      onProgress({ state: "accepted", code: "4711", fields: await makeApprovalFields(), rule: changing });
      return signRecord(change.body);
    },
    request: (_name: string, { after }: { after: number }) => {
      pages.push(after);
      return Promise.resolve({ chain: chain.filter((one) => one.body.version > after).slice(0, 2) });
    },
  } as unknown as Client;
  return { client, asked, pages };
}

void t.test("an unsealed record is changed by an administrator's word, a sealed one by the people", async (t) => {
  const open = fakeClient(await signRecord({ ...content, sealed: false }));
  const change = { edit: ((one) => ({ ...one, roles: ["officer", "auditor"] })) as Edit, reason: "new role", unsealed: () => signRecord({ version: 6 }) };
  t.strictSame(await changeRecord(open.client, change, signal), { version: 6, changes: ["+ role auditor"], code: null });
  t.strictSame(open.asked, []);
  const never = (): Promise<never> => Promise.reject(new Error("not asked"));
  const sealed = fakeClient(await signRecord(content));
  const made = await changeRecord(sealed.client, { ...change, unsealed: never }, signal);
  t.strictSame(made, { version: 6, changes: ["+ role auditor"], code: "4711" });
  t.match(sealed.asked, [{ reason: "new role", body: { version: 6, roles: ["officer", "auditor"], previous: statementHash(sealed.client.record) } }]);
  t.strictSame(linesOf(made, "applied"), ["applied, record version 6"]);
  const none = await changeRecord(sealed.client, { ...change, edit: (one) => one, unsealed: never }, signal);
  t.strictSame([none, sealed.asked.length], [{ version: 5, changes: [], code: null }, 1], "nobody is asked for nothing");
  t.strictSame(linesOf(none, "applied"), ["nothing to change: record version 5 says so already"]);
});

void t.test("whose fingers are wanted, and where", async (t) => {
  const record = await signRecord({ ...content, people: [...body.people, { id: "carol", roles: ["officer"], fingers: [] }, { id: "eve", roles: [], fingers: body.people[0]!.fingers }] });
  t.strictSame(sensorsFor(record, changing, "service"), ["alice at box-1", "bob at box-2 or box-3"]);
  t.strictSame(sensorsFor(record, changing, "cli"), ["bob at box-2 or box-3"], "alice asks, and does not count");
});

void t.test("how the record came to be, every step checked", async (t) => {
  const first = await signRecord({ ...content, version: 1, previous: null, sealed: false });
  const sealed = await signRecord(nextBody(first, (one) => ({ ...one, sealed: true })));
  const approve = async (from: SiteRecord, edit: Edit): Promise<SiteRecord> => {
    const next = await signRecord(nextBody(from, edit));
    const fields = await makeApprovalFields({ siteRecord: refOf(from), record: statementHash(next) }, { ...recordTarget, operation: "record", commitment: statementHash(next), reason: "HSM replaced" });
    return { ...next, approval: { fields, evidence: [await makeEvidence(requestDigest(fields), { person: "bob", template: filled(32, 12) }, "box-2")] } };
  };
  const third = await approve(sealed, withReadmitted("box-3"));
  const { client, pages } = fakeClient(third, [first, sealed, third]);
  const steps = await provenChain(client);
  t.strictSame(pages, [0, 2], "page by page");
  t.strictSame(steps.map(stepLine), [
    `1 ${statementHash(first)} unsealed, by the authority alone`, `2 ${statementHash(sealed)}, by the authority alone`, `3 ${statementHash(third)}, by bob at box-2 for cli: HSM replaced`,
  ]);
  t.strictSame(steps.at(-1)?.approval, { client: "cli", reason: "HSM replaced", people: [{ person: "bob", box: "box-2" }] });
  const forged = await signRecord(nextBody(third, withoutPerson("alice")));
  await t.rejects(provenChain(fakeClient(forged, [first, sealed, third, forged]).client), { code: "RECORD_SEALED" });
  await t.rejects(provenChain(fakeClient(third).client), { code: "RECORD_GAP", retryable: true }, "a coordinator that has none");
  await t.rejects(provenChain(fakeClient(third, [first, sealed]).client), { code: "RECORD_GAP" }, "or keeps the last back");
});

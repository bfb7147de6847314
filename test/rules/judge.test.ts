import t from "tap";
import { requestDigest, type RequestFields } from "../../agent/protocol/request.ts";
import { refOf, type SiteRecordBody } from "../../agent/protocol/site-record.ts";
import { judgeEvidence, judgeRequest, judgeUse, type Judge } from "../../agent/rules/judge.ts";
import { body, boot, create, filled, makeEvidence, makeFields, nonce, record, signRecord } from "./support/site.ts";

const makeJudge = (change: Partial<Judge> = {}): Judge => ({ box: "box-1", siteRecord: record, honours: (one) => one === nonce, coordinatorBoot: boot, isQuarantined: () => false, ...change });
const judge = makeJudge();
const [decrypting, macing] = body.rules as [SiteRecordBody["rules"][number], SiteRecordBody["rules"][number]];

void t.test("a sound request: its digest, its rule and for whom", async (t) => {
  const fields = await makeFields();
  t.strictSame(judgeRequest(fields, judge), { digest: requestDigest(fields), rule: decrypting, requester: "alice" });
  t.equal(judgeRequest(await makeFields({}, {}, "service"), judge).requester, undefined);
  t.equal(judgeRequest(await makeFields({}, { operation: "create", create }), judge).rule, decrypting);
});

void t.test("every refusal of a request", async (t) => {
  const fields = await makeFields();
  const unsealed = await signRecord({ sealed: false });
  t.throws(() => judgeRequest({ ...fields, siteRecord: refOf(unsealed) }, makeJudge({ siteRecord: unsealed })), { code: "NOT_SEALED" });
  const own = { box: "box-1", nonce };
  const changed: readonly (readonly [Partial<RequestFields>, string])[] = [
    [{ siteRecord: { ...fields.siteRecord, version: 4 } }, "WRONG_SITE_RECORD"],
    [{ siteRecord: { ...fields.siteRecord, hash: filled(32, 0) } }, "WRONG_SITE_RECORD"],
    [{ coordinator: { id: "box-1", boot } }, "WRONG_COORDINATOR"],
    [{ coordinator: { id: "coordinator", boot: filled(16, 0) } }, "WRONG_COORDINATOR"],
    [{ nonces: [{ box: "box-2", nonce }] }, "STALE_REQUEST"],
    [{ nonces: [{ box: "box-1", nonce: filled(16, 0) }] }, "STALE_REQUEST"],
    [{ nonces: [own, own] }, "STALE_REQUEST"],
    [{ nonces: [own, { box: "box-1", nonce: filled(16, 0) }] }, "STALE_REQUEST"],
  ];
  for (const [change, code] of changed) t.throws(() => judgeRequest({ ...fields, ...change }, judge), { code, retryable: true }, JSON.stringify(change));
  const refused = async (code: string, ...args: Parameters<typeof makeFields>): Promise<void> => {
    const made = await makeFields(...args);
    t.throws(() => judgeRequest(made, judge), { code }, JSON.stringify(args));
  };
  await refused("UNKNOWN_CLIENT", {}, {}, "stranger");
  await refused("UNKNOWN_CLIENT", {}, {}, "box-1");
  await refused("REQUEST_FORGED", {}, {}, "cli", "service");
  await refused("REQUEST_FORGED", {}, { operation: "create" });
  await refused("REQUEST_FORGED", {}, { create });
  await refused("REQUEST_FORGED", {}, { operation: "reshard" });
  await refused("REQUEST_FORGED", {}, { reshard: { threshold: 2 } });
  await refused("REQUEST_FORGED", {}, { operation: "reshard", reshard: { threshold: 2 } });
  const { enclave, ...none } = await makeFields();
  t.ok(enclave);
  t.throws(() => judgeRequest(none, judge), { code: "REQUEST_FORGED", message: /enclave/ }, "a shard is released to an enclave");
  const { enclave: other, ...approval } = await makeFields({}, { operation: "reshard", reshard: { threshold: 2 } });
  t.ok(other);
  t.throws(() => judgeRequest(approval, judge), { code: "NOT_PERMITTED", message: /no rule lets cli reshard/ });
  await refused("NOT_PERMITTED", {}, { operation: "encrypt" });
  await refused("NOT_PERMITTED", {}, { resource: "public/notice" });
  await refused("NOT_PERMITTED", {}, { key: "other" });
});

void t.test("every refusal of evidence", async (t) => {
  const digest = filled(32, 7);
  t.strictSame(judgeEvidence(await makeEvidence(digest), digest, decrypting, judge), { box: "box-1", person: "alice" });
  const refused = async (code: string, [change, by, signer]: [Parameters<typeof makeEvidence>[1]?, string?, string?], rule = decrypting, by2 = judge): Promise<void> => {
    const made = await makeEvidence(digest, change, by, signer);
    t.throws(() => judgeEvidence(made, digest, rule, by2), { code }, JSON.stringify([change, by, signer, rule.confirm]));
  };
  await refused("EVIDENCE_INVALID", [{}, "stranger"]);
  await refused("EVIDENCE_INVALID", [{}, "cli"]);
  await refused("QUARANTINED", [], decrypting, makeJudge({ isQuarantined: (box) => box === "box-1" }));
  await refused("EVIDENCE_INVALID", [{}, "box-1", "box-2"]);
  await refused("EVIDENCE_INVALID", [{ digest: filled(32, 0) }]);
  await refused("EVIDENCE_INVALID", [{ person: "mallory" }]);
  await refused("EVIDENCE_INVALID", [{ person: "bob" }]);
  await refused("EVIDENCE_INVALID", [{ finger: "thumb" }]);
  await refused("EVIDENCE_INVALID", [{ template: filled(32, 12) }]);
  await refused("EVIDENCE_INVALID", [{}, "box-2"]);
  await refused("EVIDENCE_INVALID", [{ person: "bob", template: filled(32, 13) }, "box-3"]);
  t.strictSame(judgeEvidence(await makeEvidence(digest, { display: "lcd", confirm: "code" }), digest, macing, judge), { box: "box-1", person: "alice" });
  await refused("NOT_PERMITTED", [{ display: "lcd" }], macing);
  await refused("NOT_PERMITTED", [{ display: "lcd", confirm: "button" }], macing);
  await refused("NOT_PERMITTED", [{ display: "none", confirm: "code" }], macing);
});

void t.test("the whole verdict: request, evidence for this very digest, and policy over who really attested", async (t) => {
  const fields = await makeFields({}, {}, "service");
  const digest = requestDigest(fields);
  const evidence = await makeEvidence(digest);
  t.strictSame(judgeUse(fields, [evidence], judge), { digest, rule: decrypting, requester: undefined });
  t.throws(() => judgeUse({ ...fields, nonces: [] }, [evidence], judge), { code: "STALE_REQUEST" });
  t.throws(() => judgeUse(fields, [], judge), { code: "NOT_PERMITTED", message: /officer/ });
  t.throws(() => judgeUse({ ...fields, epoch: 2 }, [evidence], judge), { code: "EVIDENCE_INVALID" }, "another digest");
  const bad = await makeEvidence(digest, {}, "box-1", "box-2");
  t.throws(() => judgeUse(fields, [evidence, bad], judge), { code: "EVIDENCE_INVALID" }, "one that is wrong spoils all: it is no accident");
  const own = await makeFields();
  t.throws(() => judgeUse(own, [evidence], judge), { code: "EVIDENCE_INVALID" });
  const alices = await makeEvidence(requestDigest(own));
  t.throws(() => judgeUse(own, [alices], judge), { code: "NOT_PERMITTED" }, "the requester does not count here");
});

import t from "tap";
import { rule, siteRecordBody, recoveryMessage, type SiteRecord, type SiteRecordBody } from "../../agent/protocol/site-record.ts";
import { statementHash } from "../../agent/protocol/statement.ts";
import { inTurn, nextBody, withBox, withClient, withFinger, withoutBox, withoutClient, withoutPerson, withPolicy, withReadmitted, withRecovery, type Edit } from "../../agent/rules/record-edits.ts";
import { judgeStep, walkChain } from "../../agent/rules/record-step.ts";
import { changesInWords } from "../../agent/rules/record-words.ts";
import { recordProblems } from "../../agent/rules/record.ts";
import { awaitedOf, isAwaited, isOvertaken, judgeRecoveryAsked } from "../../agent/rules/recovery.ts";
import { custodians, signRecovery, thief } from "../support/recovery.ts";
import { body, filled, keyOf, signRecord } from "./support/site.ts";

const hourMs = 3_600_000;
const recovery = { key: custodians.publicKey, delayMs: 168 * hourMs };
const changing = rule.parse({ key: "site", operations: ["record"], require: [{ role: "officer", people: 2 }] });
const content: Partial<SiteRecordBody> = { rules: [...body.rules, changing], recovery };
const current = await signRecord(content);
const never = (): boolean => false;
const dave = withFinger("dave", ["officer"], { name: "index", box: "box-3", slot: 4, template: filled(32, 20) });

async function recovered(edit: Edit, by = custodians, from = current): Promise<SiteRecord> {
  const made = nextBody(from, edit);
  return { ...await signRecord(made), recovery: signRecovery(from, made, by) };
}

void t.test("the recovery key brings people back, and what they need to change the record", async (t) => {
  for (const [what, edit] of [
    ["a new person", dave], ["who was there leaves", inTurn(withoutPerson("bob"), dave)], ["a new role", (one) => withFinger("dave", ["officer", "chief"], dave(one).people.at(-1)!.fingers[0]!)(one)],
    ["a client", withClient({ id: "laptop", key: thief.publicKey, admin: true })], ["for whom a client acts", (one) => ({ ...one, clients: one.clients.map((client) => ({ ...client, person: "bob" })) })],
    ["the rules of the record", (one) => ({ ...one, rules: [...body.rules, { ...changing, require: [{ person: "bob" }] }, rule.parse({ key: "site", operations: ["readmit"], require: [{ person: "bob" }] })] })],
    ["a policy that says of the rest what is so", withPolicy({ roles: ["officer"], people: [{ id: "alice", roles: ["officer"] }, { id: "bob", roles: ["officer"] }], clients: [], rules: content.rules! })],
  ] satisfies [string, Edit][]) {
    const next = await recovered(edit);
    t.doesNotThrow(() => { judgeStep(current, next, never); }, what);
    t.doesNotThrow(() => { judgeRecoveryAsked(current, next.body, next.recovery!); }, what);
  }
  t.equal(walkChain(current, [await recovered(dave)], never).body.version, 6);
});

void t.test("every recovery that may not be, each by its name", async (t) => {
  const refused = async (code: string, edit: Edit, by = custodians, from = current): Promise<void> => {
    const next = await recovered(edit, by, from);
    t.throws(() => { judgeStep(from, next, never); }, { code }, code);
    t.throws(() => { judgeRecoveryAsked(from, next.body, next.recovery!); }, { code }, `${code}, asked`);
  };
  const wide: Record<string, Edit> = {
    "another rule of a key": (one) => ({ ...one, rules: one.rules.map((known) => ({ ...known, confirm: "none" as const })) }),
    "a rule of a key more": (one) => ({ ...one, rules: [rule.parse({ key: "site", operations: ["decrypt"], require: [{ person: "bob" }] }), ...one.rules] }),
    "rules of keys in another order": (one) => ({ ...one, rules: [...body.rules.toReversed(), changing] }),
    "a rule of the record that is also one of a key": (one) => ({ ...one, rules: [...body.rules, { ...changing, operations: ["record", "decrypt"] }] }),
    "a box more": withBox({ id: "box-9", zone: "here", key: thief.publicKey }),
    "a box less": withoutBox("box-2"), "a box back from quarantine": withReadmitted("box-1"),
    "a client less": withoutClient("service"),
    "a shorter delay": withRecovery({ ...recovery, delayMs: 1000 }), "another recovery key": withRecovery({ ...recovery, key: thief.publicKey }), "none": withRecovery(undefined),
    "another TLS authority": (one) => ({ ...one, tlsAuthority: filled(32, 1) }),
    "another coordinator": (one) => ({ ...one, coordinator: { id: "coordinator", key: thief.publicKey } }),
    "the limit of zones": (one) => ({ ...one, noZoneHoldsThreshold: true }),
  };
  for (const edit of Object.values(wide)) await refused("RECORD_RECOVERY_TOO_WIDE", edit);
  await refused("RECORD_FORGED", (one) => ({ ...one, authority: thief.publicKey }));
  await refused("RECORD_SEALED", (one) => ({ ...one, sealed: false }));
  await refused("RECORD_UNCHANGEABLE", (one) => ({ ...one, people: one.people.slice(0, 1) }));
  await refused("RECORD_INVALID", withoutPerson("alice"));
  await refused("RECORD_RECOVERY_FORGED", dave, thief);
  await refused("RECORD_NOT_RECOVERABLE", dave, custodians, await signRecord({ ...content, recovery: undefined }));
  await refused("RECORD_NOT_RECOVERABLE", (one) => ({ ...dave(one), sealed: true }), custodians, await signRecord({ ...content, sealed: false }));
  const next = await recovered(dave);
  const other = await recovered((one) => ({ ...dave(one), roles: ["officer", "chief"] }));
  t.throws(() => { judgeStep(current, { ...other, recovery: next.recovery }, never); }, { code: "RECORD_RECOVERY_FORGED" }, "a signature over another step");
  t.throws(() => { judgeStep(current, { ...next, recovery: undefined }, never); }, { code: "RECORD_SEALED" });
  const forged = { ...await signRecord(next.body, "coordinator", "stranger"), recovery: next.recovery };
  t.throws(() => { judgeStep(current, forged, never); }, { code: "RECORD_FORGED" }, "the recovery key is not the authority");
  t.throws(() => { judgeStep(current, { ...next, approval: { fields: {} as never, evidence: [] } }, never); }, { code: "RECORD_INVALID" }, "with both");
});

void t.test("one version waits at a time", async (t) => {
  const [next, other] = await Promise.all([recovered(dave), recovered(withoutPerson("nobody"))]);
  t.notOk(isAwaited(undefined, statementHash(next)));
  t.ok(isAwaited(next, statementHash(next)));
  t.throws(() => isAwaited(next, statementHash(other)), { code: "RECORD_RECOVERY_PENDING" });
  t.equal(awaitedOf(current, undefined), undefined);
  t.strictSame(awaitedOf(current, next), { version: 6, hash: statementHash(next), delayMs: recovery.delayMs }, "by the delay of the version that it follows");
  t.strictSame([[0, 5], [2, 5], [3, 5], [2, 4], [3, 4]].map(([there, boxes]) => isOvertaken(there!, boxes!)), [false, false, true, false, true], "more than half");
});

void t.test("a recovery key in a record: nobody else's, a delay, and in words", async (t) => {
  for (const key of ["authority", "coordinator", "box-1", "cli"].map(keyOf)) t.match(recordProblems({ ...body, recovery: { ...recovery, key } }), [/recovery key is somebody's/]);
  t.strictSame(recordProblems({ ...body, recovery }), []);
  for (const delayMs of [999, 1000.5, 367 * 24 * hourMs]) t.notOk(siteRecordBody.safeParse({ ...body, recovery: { ...recovery, delayMs } }).success, String(delayMs));
  t.match(changesInWords({ ...body, recovery }, { ...body, recovery: { ...recovery, delayMs: 1500 } }), [/^- recovery key .{43}, in force after 168 h of/, /^\+ recovery key .{43}, in force after 1.5 s of/]);
  t.strictSame(changesInWords(body, { ...body, recovery: undefined }), []);
});

void t.test("what the recovery key signs, byte by byte", async (t) => {
  t.equal(Buffer.from(recoveryMessage("demo", "A", "B")).toString("latin1"),
    "s\0\0\0\x1ashardkeep/v1/site-recoverys\0\0\0\x04demoo\0\0\0\x02s\0\0\0\x04nexts\0\0\0\x01Bs\0\0\0\x08previouss\0\0\0\x01A");
});

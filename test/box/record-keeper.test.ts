import t from "tap";
import { RecordKeeper } from "../../agent/box/record-keeper.ts";
import { Requests } from "../../agent/box/requests.ts";
import { recordTarget, requestDigest } from "../../agent/protocol/request.ts";
import { refOf, rule } from "../../agent/protocol/site-record.ts";
import { statementHash } from "../../agent/protocol/statement.ts";
import { nextBody } from "../../agent/rules/record-edits.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { putJson } from "../../agent/store/json.ts";
import { filled, keyOf, makeEvidence, makeApprovalFields, signRecord } from "../rules/support/site.ts";
import { memoryDisk, openMemoryStore } from "../support/memory-store.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

void t.test("a box's site record moves by verified versions, and what it took survives", async (t) => {
  const disk = memoryDisk();
  t.throws(() => new RecordKeeper(openMemoryStore(disk), silentLog), { code: "NOT_JOINED" });
  const first = await signRecord({ sealed: false });
  await openMemoryStore(disk).commit([putJson("site-record", first)]);
  const alarms: string[] = [];
  const keeper = new RecordKeeper(openMemoryStore(disk), { ...silentLog, error: (event) => { alarms.push(event); } });
  t.strictSame([keeper.keyOf("coordinator"), keeper.keyOf("box-2"), keeper.keyOf("cli")], [keyOf("coordinator"), undefined, undefined], "a box hears its coordinator only");
  const second = await signRecord({ sealed: false, version: 6, previous: statementHash(first) });
  const third = await signRecord({ version: 7, previous: statementHash(second) });
  const forged = await signRecord({ version: 7, previous: statementHash(second) }, "coordinator", "stranger");
  await t.rejects(keeper.follow([third]), { code: "RECORD_GAP" });
  await t.rejects(keeper.follow([second, forged]), { code: "RECORD_FORGED" });
  t.strictSame(keeper.ref, refOf(second), "what was sound before it is taken");
  t.strictSame(alarms, []);
  await t.rejects(keeper.follow([await signRecord({ sealed: false, version: 6, previous: statementHash(first), rules: [] })]), { code: "RECORD_FORK" });
  t.strictSame(alarms, ["site record forked"]);
  t.strictSame(await keeper.follow([second, third]), refOf(third), "the one it has is skipped");
  await t.rejects(keeper.quarantine("box-9", "HSM_COMPROMISED"), { code: "UNKNOWN_BOX" });
  await keeper.quarantine("box-3", "HSM_COMPROMISED");
  t.strictSame(["box-2", "box-3"].map((box) => keeper.isQuarantined(box)), [false, true]);
  const again = new RecordKeeper(openMemoryStore(disk), silentLog);
  t.notOk(again.isQuarantined("box-9"));
  t.strictSame([again.ref, again.isQuarantined("box-3"), again.judge("box-1", () => true, "boot").isQuarantined("box-3")], [refOf(third), true, true]);
});

void t.test("two offers overlap: what a box has is skipped, however old; a chain of nothing newer is refused", async (t) => {
  const first = await signRecord({ sealed: false });
  const second = await signRecord({ sealed: false, version: 6, previous: statementHash(first) });
  const third = await signRecord({ sealed: false, version: 7, previous: statementHash(second) });
  const fourth = await signRecord({ version: 8, previous: statementHash(third) });
  const store = openMemoryStore(memoryDisk());
  await store.commit([putJson("site-record", first)]);
  const keeper = new RecordKeeper(store, silentLog);
  const took: number[] = [];
  keeper.onChange((_, after) => { took.push(after.body.version); });
  const offers = [[second], [second, third], [second, third, fourth]].map((chain) => keeper.follow(chain));
  t.strictSame(await Promise.all(offers), [second, third, fourth].map(refOf));
  t.strictSame(took, [6, 7, 8], "each once");
  await t.rejects(keeper.follow([second, third]), { code: "RECORD_OLD" });
  const forked = await signRecord({ version: 9, previous: statementHash(third) });
  await t.rejects(keeper.follow([second, forked]), { code: "RECORD_GAP" }, "what follows must still follow what it has");
  t.strictSame(keeper.ref, refOf(fourth));
});

void t.test("what was found out of a box later says nothing of an approval from before", async (t) => {
  const changing = rule.parse({ key: "site", operations: ["record"], require: [{ person: "bob" }] });
  const first = await signRecord({ rules: [changing] });
  const body = nextBody(first, (one) => ({ ...one, roles: ["officer", "auditor"] }));
  const next = await signRecord(body);
  const fields = await makeApprovalFields({ siteRecord: refOf(first), record: statementHash(next) }, { ...recordTarget, operation: "record", commitment: statementHash(next) });
  const evidence = await makeEvidence(requestDigest(fields), { person: "bob", template: filled(32, 12) }, "box-2");
  const approved = { ...next, approval: { fields, evidence: [evidence] } };
  const keeperOf = async (since: number): Promise<RecordKeeper> => {
    const store = openMemoryStore(memoryDisk());
    await store.commit([putJson("site-record", first)]);
    const keeper = new RecordKeeper(store, silentLog);
    await keeper.quarantine("box-2", "HSM_COMPROMISED", since);
    return keeper;
  };
  await t.rejects((await keeperOf(5)).follow([approved]), { code: "QUARANTINED" }, "found out while version 5 was in force");
  const later = await keeperOf(6);
  t.ok(later.isQuarantined("box-2"), "nothing new counts from it");
  const changes: number[][] = [];
  later.onChange((before, after) => { changes.push([before.body.version, after.body.version]); });
  t.strictSame(await later.follow([approved]), refOf(next), "found out when version 6 was: the step to it stays what it was");
  t.strictSame(changes, [[5, 6]]);
});

void t.test("two successors of one version, offered at once: one is taken, the other alarms", async (t) => {
  const disk = memoryDisk();
  const first = await signRecord({ sealed: false });
  await openMemoryStore(disk).commit([putJson("site-record", first)]);
  const keeper = new RecordKeeper(openMemoryStore(disk), silentLog);
  const sealed = await signRecord({ version: 6, previous: statementHash(first) });
  const open = await signRecord({ sealed: false, version: 6, previous: statementHash(first) });
  const [one, other] = await Promise.allSettled([keeper.follow([sealed]), keeper.follow([open])]);
  t.equal(one.status, "fulfilled");
  t.match(other, { status: "rejected", reason: { code: "RECORD_FORK" } });
  t.strictSame([keeper.ref, new RecordKeeper(openMemoryStore(disk), silentLog).ref], [refOf(sealed), refOf(sealed)]);
});

void t.test("a request's time runs from when it was first seen, and never longer than the approval window", async (t) => {
  const clock = new VirtualClock();
  const requests = new Requests(clock);
  t.equal(requests.leftMs("d"), 0, "what was never seen has none");
  requests.see("d", 1000);
  await clock.advance(400);
  requests.see("d", 600_000);
  t.equal(requests.leftMs("d"), 600, "a second look gives no more");
  await clock.advance(700);
  t.equal(requests.leftMs("d"), -100);
  requests.see("long", 600_000);
  t.equal(requests.leftMs("long"), 300_000);
  await clock.advance(600_000);
  requests.see("other", 1000);
  t.ok(requests.leftMs("long") < 0, "not forgotten while its nonce might still count");
  await clock.advance(1);
  requests.see("third", 1000);
  t.equal(requests.leftMs("long"), 0, "and forgotten in the end");
});

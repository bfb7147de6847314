import t from "tap";
import { Journal, type Entry } from "../../../agent/coordinator/reshard/journal.ts";
import { keyRecordHash } from "../../../agent/protocol/key-record.ts";
import type { BatchDestroyed } from "../../../agent/protocol/reshard.ts";
import { signStatement, statementHash } from "../../../agent/protocol/statement.ts";
import { putJson } from "../../../agent/store/json.ts";
import { keys, makeCurrent, makePlan, members, refresh } from "../../rules/reshard/support.ts";
import { memoryDisk, openMemoryStore } from "../../support/memory-store.ts";

const [payroll] = refresh.keys as [typeof refresh.keys[number]];
const old = ["box-1", "box-2", "box-3", "box-4", "box-9"];
const makeEntry = async (phase: Entry["phase"], attempt = 7, change: Partial<Entry> = {}): Promise<Entry> => ({
  plan: await makePlan({ keys: [{ ...payroll, attempt }], witnesses: members(1, 2, 3, 4), holders: members(1, 2, 3, 4, 6) }), phase, old, batch: null, records: [], prepared: [], proof: null, activated: [], burns: [], ...change,
});
const destroyedBy = async ({ plan }: Entry, box: string): Promise<BatchDestroyed> =>
  await signStatement(keys[box]!, "batch-destroyed", "demo", box, { plan: statementHash(plan), of: "old", hsm: "software" });
const everybody = ["box-1", "box-2", "box-3", "box-4", "box-6", "box-9"];

void t.test("what was put is there in the next life, with what was committed beside it", async (t) => {
  const disk = memoryDisk();
  const journal = new Journal(openMemoryStore(disk));
  const entry = await makeEntry("planned");
  const planHash = statementHash(entry.plan);
  await journal.put(entry, [putJson("attempt/payroll", 7)]);
  const made = [makeCurrent({ epoch: 5 })];
  const certified = { ...entry, phase: "certified" as const, records: made.map(keyRecordHash) };
  await journal.put(certified, [], made);
  for (const life of [journal, new Journal(openMemoryStore(disk))]) {
    t.strictSame([life.all(), life.get(planHash), life.recordsOf(planHash)], [[certified], certified, made]);
    t.strictSame([...life.busyKeys()], ["payroll"]);
    t.strictSame(life.concerned(entry), everybody, "old holders, witnesses, new holders");
    t.equal(life.isFinished(certified), false);
  }
  t.ok(openMemoryStore(disk).get("attempt/payroll"));
  const settled = { ...certified, phase: "settled" as const };
  await journal.put(settled);
  for (const life of [journal, new Journal(openMemoryStore(disk))]) t.strictSame([life.recordsOf(planHash), [...life.busyKeys()], life.get(planHash)], [[], [], settled], "the keys' own place has the records now");
});

void t.test("a store that fails: memory is as it was", async (t) => {
  const journal = new Journal(openMemoryStore(memoryDisk(), { before: (commit) => { if (commit > 1) throw new Error("no space"); } }));
  const entry = await makeEntry("planned");
  await journal.put(entry);
  await t.rejects(journal.put({ ...entry, phase: "certified" }, [], [makeCurrent()]), { code: "STORE_FAILED" });
  t.strictSame([journal.all(), journal.recordsOf(statementHash(entry.plan))], [[entry], []]);
  await t.rejects(journal.destroyed(await destroyedBy(entry, "box-1")), { code: "STORE_FAILED" });
  t.equal(journal.destroyedOf(statementHash(entry.plan)).size, 0);
});

void t.test("busy until decided", async (t) => {
  for (const [phase, busy] of [["planned", true], ["certified", true], ["burning", true], ["settled", false], ["burnt", false]] as const) {
    const journal = new Journal(openMemoryStore(memoryDisk()));
    await journal.put(await makeEntry(phase));
    t.equal(journal.busyKeys().has("payroll"), busy, phase);
  }
});

void t.test("finished when everybody whom it concerns has destroyed: the first word of each counts, in the next life too", async (t) => {
  const disk = memoryDisk();
  const store = openMemoryStore(disk);
  const journal = new Journal(store);
  const entry = await makeEntry("settled");
  await journal.put(entry);
  const first = await destroyedBy(entry, "box-1");
  await journal.destroyed(first);
  const { commit } = store.head;
  await journal.destroyed({ ...first, body: { ...first.body, hsm: "hardware" } });
  t.equal(store.head.commit, commit);
  t.equal(journal.destroyedOf(statementHash(entry.plan)).get("box-1")?.body.hsm, "software");
  for (const box of everybody.slice(1)) {
    t.equal(journal.isFinished(entry), false, `before ${box}`);
    await journal.destroyed(await destroyedBy(entry, box));
  }
  t.equal(journal.isFinished(entry), true);
  t.equal(new Journal(openMemoryStore(disk)).isFinished(entry), true);
  t.equal(journal.isFinished({ ...entry, phase: "burning" }), false, "never before it is decided");
});

void t.test("pruned: finished ones beyond the last 32, never what is in force or exposed", async (t) => {
  const disk = memoryDisk();
  const store = openMemoryStore(disk);
  const journal = new Journal(store);
  const entries: Entry[] = [];
  for (let attempt = 1; attempt <= 36; attempt++) {
    const entry = await makeEntry(attempt === 3 ? "burnt" : "settled", attempt);
    entries.push(entry);
    await journal.put(entry);
    for (const box of attempt === 2 ? everybody.slice(1) : everybody) await journal.destroyed(await destroyedBy(entry, box));
  }
  const inForce = new Set([statementHash(entries[0]!.plan)]);
  await journal.prune(inForce);
  // Without 1 (in force) and 2 (box-1 has not destroyed) 34 are finished: the two oldest go.
  for (const life of [journal, new Journal(openMemoryStore(disk))]) {
    t.strictSame(life.all().map(({ plan }) => plan.body.keys[0]!.attempt).sort((a, b) => a - b), [1, 2, ...Array.from({ length: 32 }, (_, i) => i + 5)]);
  }
  t.equal(store.entries("reshard-destroyed/").length, 33 * 6 + 5, "with what belongs to them");
  const { commit } = store.head;
  await journal.prune(inForce);
  t.equal(store.head.commit, commit, "nothing to do");
});

import t from "tap";
import { mostMessageBytes } from "../../../agent/protocol/envelope.ts";
import { mostImported, type KeyRecord } from "../../../agent/protocol/key-record.ts";
import { mostBatchKeys, type Member } from "../../../agent/protocol/reshard.ts";
import { signStatement } from "../../../agent/protocol/statement.ts";
import { batchesOf, type Batch, type Planned, type Proposed } from "../../../agent/rules/reshard/batch.ts";
import { filled, keys, makeCurrent, members, planKeyOf, refresh } from "./support.ts";

const proposal: Planned = { kind: "plan", reason: "lost", dealers: members(1, 2, 3), witnesses: members(1, 2, 3, 4, 5), holders: members(1, 2, 3, 4, 5) };
const imported = Buffer.alloc(mostImported + 1024, 7).toString("base64url");
const many = (count: number, change: Partial<KeyRecord> = {}): KeyRecord[] => Array.from({ length: count }, (_, i) => makeCurrent({ key: `key-${i}`, ...change }));
const proposed = (records: readonly KeyRecord[], change: Partial<Proposed> = {}): Proposed[] => records.map((record) => ({ record, proposal, part: "", ...change }));
const sizes = (all: readonly Proposed[]): number[] => batchesOf(all).map(({ records }) => records.length);
/** 255 boxes with names and x of the greatest length. */
const crowd: Member[] = Array.from({ length: 255 }, (_, i) => ({ box: `${i}`.padStart(32, "b"), x: i + 1 }));

void t.test("keys go together where the same is to be done with them by the same", (t) => {
  const [a, b] = many(2) as [KeyRecord, KeyRecord];
  const both = (other: Proposed): number => batchesOf([...proposed([a]), other]).length;
  t.match(batchesOf(proposed([a, b])), [{ proposal, records: [a, b] }]);
  for (const change of [{ threshold: 2 }, { size: 6 }, { margin: 2 }, { holders: b.holders.slice(1) }]) t.equal(both({ record: { ...b, ...change }, proposal, part: "" }), 2);
  t.equal(both({ record: b, proposal: { ...proposal, holders: members(1, 2, 3, 4) }, part: "" }), 2);
  t.equal(both({ record: b, proposal, part: "0" }), 2, "nor those of which one was refused");
  t.equal(both({ record: { ...b, epoch: 9 }, proposal, part: "" }), 1);
  const unproven: Planned = { ...proposal, witnesses: members(1, 2, 3) };
  t.equal(batchesOf([a, b].map((record) => ({ record, proposal: unproven, part: "" }))).length, 2, "what is unproven is proven key by key");
  t.end();
});

void t.test("a batch has so many keys, so many shares", (t) => {
  t.strictSame(sizes(proposed(many(mostBatchKeys + 1))), [mostBatchKeys]);
  t.strictSame(sizes(proposed(many(400), { proposal: { ...proposal, holders: members(...Array.from({ length: 12 }, (_, i) => i + 1)) } })), [300]);
  t.end();
});

void t.test("and so many bytes: what was imported travels in PLAN, and PLAN in every certificate", async (t) => {
  const longest = { key: "k".repeat(29), version: 2 ** 31, epoch: 2 ** 31 - 1, attempt: 2 ** 31 - 1 };
  const crowded = { ...proposal, dealers: crowd, witnesses: crowd, holders: crowd };
  const mixed = many(400, longest).map((record, i) => ({ ...record, key: `${i}`.padStart(32, "k"), imported: i < 30 ? imported : null }));
  for (const all of [proposed(mixed), proposed(mixed.slice(0, 30), { proposal: crowded })]) {
    const [{ records, proposal: { dealers, witnesses, holders } }] = batchesOf(all) as [Batch];
    t.ok(records.filter((record) => record.imported !== null).length >= 10);
    const plan = await signStatement(keys["coordinator"]!, "reshard-plan", "d".repeat(32), "c".repeat(32), { ...refresh, dealers, witnesses, holders, keys: records.map((record) => planKeyOf(record)) });
    const activated = holders.map(() => ({ ...plan, type: "batch-activated", body: { plan: filled(32, 1), batch: filled(32, 2) } }));
    const record = { ...records[0]!, holders: holders.map((one) => ({ ...one, digest: filled(32, 3) })) };
    // Certificate D as every box is shown it, and the newest record as whoever asks is shown it.
    for (const message of [{ plan, batch: filled(32, 2), activated }, { record, plan, records: records.map(() => filled(32, 4)), prepared: activated }]) {
      t.ok(JSON.stringify(message).length < mostMessageBytes - 8192, `${JSON.stringify(message).length} bytes`);
    }
  }
});

void t.test("one that does not fit any more holds nobody up, and has its turn", (t) => {
  const large = many(20, { imported });
  const [first] = batchesOf(proposed([...large, makeCurrent({ key: "small" })]));
  const taken = new Set(first!.records.map(({ key }) => key));
  t.ok(taken.has("small") && taken.has("key-0") && !taken.has("key-19"));
  t.ok(sizes(proposed(large.filter(({ key }) => !taken.has(key))))[0]! > 0);
  t.end();
});

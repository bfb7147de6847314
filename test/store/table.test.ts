import t from "tap";
import { z } from "zod";
import { putJson } from "../../agent/store/json.ts";
import { JsonTable } from "../../agent/store/table.ts";
import { memoryDisk, openMemoryStore } from "../support/memory-store.ts";

/** A table of numbers that counts how often one is parsed. */
function scene() {
  const store = openMemoryStore(memoryDisk());
  const parsed: number[] = [];
  const schema = z.strictObject({ n: z.int().refine((n) => parsed.push(n) > 0) });
  return { store, parsed, table: new JsonTable(store, "n/", schema) };
}

void t.test("a value is parsed once for its bytes, and again when others are there", async (t) => {
  const { store, parsed, table } = scene();
  t.equal(table.get("a"), undefined);
  await store.commit([putJson("n/a", { n: 1 }), putJson("n/b", { n: 2 }), putJson("m/a", { n: 9 })]);
  const [first] = table.all();
  t.strictSame([table.get("a"), table.all(), parsed], [{ n: 1 }, [{ n: 1 }, { n: 2 }], [1, 2]]);
  t.equal(table.get("a"), first, "and shared");
  await store.commit([putJson("n/a", { n: 3 })]);
  t.strictSame([table.get("a"), table.all(), parsed], [{ n: 3 }, [{ n: 3 }, { n: 2 }], [1, 2, 3]]);
  await store.commit([{ del: "n/a" }]);
  t.strictSame([table.get("a"), table.all()], [undefined, [{ n: 2 }]]);
  await store.commit([putJson("n/b", { n: "two" })]);
  t.throws(() => table.get("b"), { code: "STORED_VALUE_INVALID" });
  t.throws(() => table.all(), { code: "STORED_VALUE_INVALID" });
});

void t.test("the list is the same one until a value under the prefix changes", async (t) => {
  const { store, table } = scene();
  await store.commit([table.put("b", { n: 2 }), table.put("a", { n: 1 })]);
  const list = table.all();
  await store.commit([putJson("m/a", { n: 9 })]);
  t.equal(table.all(), list);
  for (const [change, after] of [[table.put("b", { n: 3 }), [1, 3]], [table.put("0", { n: 0 }), [0, 1, 3]], [table.del("a"), [0, 3]]] as const) {
    const before = table.all();
    await store.commit([change]);
    t.not(table.all(), before);
    t.strictSame(table.all().map(({ n }) => n), after, "in the order of their names");
  }
});

void t.test("what was put is there when it is durable, not before, and is not parsed", async (t) => {
  const { store, parsed, table } = scene();
  await store.commit([table.put("a", { n: 1 })]);
  const change = table.put("a", { n: 2 });
  t.strictSame([table.get("a"), table.all()], [{ n: 1 }, [{ n: 1 }]], "and the value before is still there");
  t.strictSame(parsed, [1], "parsed, for it is no longer what was put last");
  await store.commit([change]);
  t.strictSame([table.get("a"), table.all()], [{ n: 2 }, [{ n: 2 }]]);
  const given = { n: 3 };
  await store.commit([table.put("a", given)]);
  t.equal(table.get("a"), given);
  t.strictSame(parsed, [1, 2]);
});

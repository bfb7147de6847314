import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import t from "tap";
import { createStore, openStore } from "../../agent/store/level.ts";
import type { Change, Store } from "../../agent/store/store.ts";
import { memoryDisk, openMemoryStore } from "../support/memory-store.ts";

/** One suite for every implementation. `reopen` closes the store and opens what is durable. */
interface Fixture {
  readonly store: Store;
  readonly reopen: () => Promise<Store>;
}
const text = (value: string) => new Uint8Array(Buffer.from(value));
const put = (key: string, value: string): Change => ({ put: key, value: text(value) });

const folder = await mkdtemp(join(tmpdir(), "shardkeep-store-"));
t.teardown(async () => { await rm(folder, { recursive: true }); });
let made = 0;

const implementations: Readonly<Record<string, () => Promise<Fixture>>> = {
  level: async () => {
    const dir = join(folder, String(made++));
    let store = await createStore(dir);
    return { get store() { return store; }, reopen: async () => { await store.close(); return (store = await openStore(dir)); } };
  },
  memory: () => {
    const disk = memoryDisk();
    let store = openMemoryStore(disk);
    return Promise.resolve({ get store() { return store; }, reopen: async () => { await store.close(); return (store = openMemoryStore(disk)); } });
  },
};

/** The head by the definition, from scratch. */
function xorOf(model: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const xor = new Uint8Array(32);
  for (const [key, value] of model) {
    const name = Buffer.from(key);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(name.length);
    createHash("sha256").update(Buffer.concat([length, name, value])).digest().forEach((byte, index) => { xor[index]! ^= byte; });
  }
  return xor;
}

for (const [name, fixture] of Object.entries(implementations)) void t.test(name, async (t) => {
  await t.test("what is committed is there, also after opening again", async (t) => {
    const { store, reopen } = await fixture();
    t.strictSame(store.head, { commit: 0, records: 0, xor: new Uint8Array(32) });
    await store.commit([put("b", "2"), put("a", "1"), put("a/x", ""), { del: "never" }]);
    await store.commit([{ del: "b" }, put("c", "3"), { put: "a", value: Buffer.from("one") }]);
    const check = (now: Store) => {
      t.strictSame(now.get("a"), text("one"));
      t.strictSame(now.get("a/x"), text(""));
      t.equal(now.get("b"), undefined);
      t.equal(now.get(""), undefined, "the head is not a record");
      t.strictSame(now.entries(""), [["a", text("one")], ["a/x", text("")], ["c", text("3")]]);
      t.strictSame(now.entries("a"), [["a", text("one")], ["a/x", text("")]]);
      t.strictSame(now.entries("z"), []);
      t.strictSame(now.head, { commit: 2, records: 3, xor: xorOf(new Map(now.entries(""))) });
    };
    check(store);
    check(await reopen());
    await (await reopen()).close();
  });

  await t.test("changes of one commit work in order: the last word on a key counts", async (t) => {
    const { store, reopen } = await fixture();
    await store.commit([put("a", "1"), { del: "a" }, put("b", "1"), put("b", "2"), { del: "c" }, put("c", "3")]);
    t.strictSame((await reopen()).entries(""), [["b", text("2")], ["c", text("3")]]);
    await (await reopen()).close();
  });

  await t.test("commits given at once are made one after the other; memory shows only what is durable", async (t) => {
    const { store, reopen } = await fixture();
    const value = text("mine");
    const first = store.commit([{ put: "v", value }]);
    value.fill(0);
    t.equal(store.get("v"), undefined);
    t.equal(store.head.commit, 0);
    await Promise.all([first, ...Array.from({ length: 20 }, (_, index) => store.commit([put("last", String(index)), put(`k${index}`, "")]))]);
    t.strictSame(store.get("v"), text("mine"), "copied when it was given");
    t.strictSame(store.get("last"), text("19"));
    t.equal((await reopen()).head.commit, 21);
    await (await reopen()).close();
  });

  await t.test("arrays that come out are copies", async (t) => {
    const { store } = await fixture();
    await store.commit([put("a", "1")]);
    store.get("a")!.fill(0);
    store.entries("")[0]![1].fill(0);
    store.head.xor.fill(0);
    t.strictSame(store.get("a"), text("1"));
    t.strictSame(store.head.xor, xorOf(new Map([["a", text("1")]])));
    await store.close();
  });

  await t.test("a key that cannot be is refused and nothing of the commit is made", async (t) => {
    const { store } = await fixture();
    await store.commit([put("a", "1")]);
    const before = store.head;
    for (const key of ["", "\ud800", "x\udc00y"]) {
      await t.rejects(store.commit([put("b", "2"), put(key, "3")]), { code: "STORE_KEY_INVALID" });
      await t.rejects(store.commit([{ del: key }]), { code: "STORE_KEY_INVALID" });
    }
    t.strictSame(store.head, before);
    t.equal(store.get("b"), undefined);
    await store.commit([put("b", "2")]);
    t.equal(store.head.commit, 2, "the store goes on");
    await store.close();
  });

  await t.test("a closed store refuses commits; those given before closing are made", async (t) => {
    const { store, reopen } = await fixture();
    const before = store.commit([put("a", "1")]);
    const closing = store.close();
    const after = store.commit([put("b", "2")]);
    await t.rejects(after, { code: "STORE_CLOSED" });
    await Promise.all([before, closing]);
    t.strictSame((await reopen()).entries(""), [["a", text("1")]]);
    await (await reopen()).close();
  });

  await t.test("behaves as a Map, whatever the order of commits and restarts", async (t) => {
    const key = fc.constantFrom("a", "a/b", "b", "é", "e\u0301", "\u{1f511}", "\uffff", "z".repeat(300));
    const change = fc.oneof(
      fc.record({ put: key, value: fc.uint8Array({ maxLength: 40 }) }), fc.record({ del: key }));
    const step = fc.oneof({ weight: 5, arbitrary: fc.array(change, { maxLength: 6 }) }, { weight: 1, arbitrary: fc.constant("reopen" as const) });
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.string(), async (steps, prefix) => {
      const { store: first, reopen } = await fixture();
      let store = first;
      const model = new Map<string, Uint8Array>();
      let commits = 0;
      for (const action of steps) {
        if (action === "reopen") store = await reopen();
        else {
          await store.commit(action);
          commits += 1;
          for (const one of action) {
            if ("put" in one) model.set(one.put, one.value);
            else model.delete(one.del);
          }
        }
        t.strictSame(store.head, { commit: commits, records: model.size, xor: xorOf(model) });
        for (const wanted of ["", "a", prefix]) {
          t.strictSame(store.entries(wanted), [...model].filter(([name]) => name.startsWith(wanted)).sort(([a], [b]) => (a < b ? -1 : 1)));
        }
      }
      await store.close();
    }), { numRuns: 25 });
  });
});

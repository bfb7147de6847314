import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { createStore } from "../../agent/store/level.ts";
import { hooked, memoryDisk, openMemoryStore } from "../support/memory-store.ts";

const one = { put: "a", value: new Uint8Array([1]) };
const two = { put: "a", value: new Uint8Array([2]) };
const crash = () => { throw new Error("crash"); };

void t.test("a crash before a commit: neither in memory nor on the disk; the party must open again", async (t) => {
  const disk = memoryDisk();
  const store = openMemoryStore(disk, { before: (commit) => { if (commit === 2) crash(); } });
  await store.commit([one]);
  await t.rejects(store.commit([two]), { code: "STORE_FAILED" });
  t.strictSame(store.get("a"), one.value);
  await t.rejects(store.commit([two]), { code: "STORE_FAILED" });
  t.strictSame(openMemoryStore(disk).get("a"), one.value);
  t.equal(openMemoryStore(disk).head.commit, 1);
});

void t.test("a crash after a commit: on the disk, though nobody was told", async (t) => {
  const disk = memoryDisk();
  const store = openMemoryStore(disk, { after: (commit) => { if (commit === 2) crash(); } });
  await store.commit([one]);
  await t.rejects(store.commit([two]), { code: "STORE_FAILED" });
  t.strictSame(store.get("a"), one.value);
  t.strictSame(openMemoryStore(disk).get("a"), two.value);
});

void t.test("hooks around a store on disk see each commit's number and changes", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "shardkeep-hooks-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const seen: unknown[] = [];
  const inner = await createStore(join(folder, "store"));
  const store = hooked(inner, {
    before: (commit, changes) => { seen.push(["before", commit, changes, inner.head.commit]); },
    after: (commit, changes) => { seen.push(["after", commit, changes, inner.head.commit]); },
  });
  await store.commit([one]);
  t.strictSame(seen, [["before", 1, [one], 0], ["after", 1, [one], 1]]);
  t.strictSame(store.get("a"), one.value);
  t.strictSame(store.entries(""), inner.entries(""));
  t.strictSame(store.head, inner.head);
  await store.close();
});

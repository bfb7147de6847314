import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ClassicLevel } from "classic-level";
import t from "tap";
import { decodeHead, encodeHead } from "../../agent/store/head.ts";
import { createStore, openStore } from "../../agent/store/level.ts";

const folder = await mkdtemp(join(tmpdir(), "shardkeep-opening-"));
t.teardown(async () => { await rm(folder, { recursive: true }); });
const byte = (key: string) => ({ put: key, value: new Uint8Array([1]) });

void t.test("opening never makes a store: nothing there, or an empty folder, is STORE_MISSING", async (t) => {
  const dir = join(folder, "missing");
  await t.rejects(openStore(dir), { code: "STORE_MISSING", remedy: /box join/ });
  await t.rejects(stat(dir), { code: "ENOENT" }, "and nothing was made");
  await mkdir(dir);
  await t.rejects(openStore(dir), { code: "STORE_MISSING" });
  t.strictSame(await readdir(dir), []);
});

void t.test("a folder with anything else in it is STORE_DAMAGED, not a new store", async (t) => {
  const dir = join(folder, "other");
  await mkdir(dir);
  await writeFile(join(dir, "records"), "");
  await t.rejects(openStore(dir), { code: "STORE_DAMAGED", message: /'acknowledged' is missing/, remedy: /aside/ });
  await rm(dir, { recursive: true });
  await (await createStore(dir)).close();
  await rm(join(dir, "records"), { recursive: true });
  await t.rejects(openStore(dir), { code: "STORE_DAMAGED", message: /'records' is missing/ });
  t.strictSame(await readdir(dir), ["acknowledged"]);
  await mkdir(join(dir, "records"));
  await t.rejects(openStore(dir), { code: "STORE_DAMAGED" }, "an empty database is not begun");
  t.notOk((await readdir(join(dir, "records"))).includes("CURRENT"));
});

void t.test("a database that lost its head, or gained a record beside it, is STORE_DAMAGED", async (t) => {
  const dir = join(folder, "tampered");
  const store = await createStore(dir);
  await store.commit([byte("a")]);
  await store.close();
  const change = async (task: (db: ClassicLevel<string, Uint8Array>) => Promise<void>) => {
    const db = new ClassicLevel<string, Uint8Array>(join(dir, "records"), { valueEncoding: "view" });
    await task(db);
    await db.close();
  };
  await change((db) => db.put("b", new Uint8Array(1)));
  await t.rejects(openStore(dir), { code: "STORE_DAMAGED", message: /had 1 records, 2 are there/ });
  await change((db) => db.del("b"));
  await (await openStore(dir)).close();
  await change((db) => db.put("a", new Uint8Array([2])));
  await t.rejects(openStore(dir), { code: "STORE_DAMAGED", message: /content changed/ });
  await change((db) => db.del(""));
  await t.rejects(openStore(dir), { code: "STORE_DAMAGED", message: /no head/ });
});

void t.test("a store is made once: STORE_EXISTS, and the first keeps its content", async (t) => {
  const dir = join(folder, "twice");
  const store = await createStore(dir);
  await store.commit([byte("a")]);
  await t.rejects(createStore(dir), { code: "STORE_EXISTS" });
  await store.close();
  await t.rejects(createStore(dir), { code: "STORE_EXISTS" });
  const file = join(folder, "a-file");
  await writeFile(file, "keep me");
  await t.rejects(createStore(file), { code: "STORE_EXISTS" });
  const again = await openStore(dir);
  t.equal(again.head.commit, 1);
  await again.close();
  t.strictSame((await readdir(folder)).filter((name) => name.endsWith("unfinished")), []);
});

void t.test("what a killed creation left is no hindrance; an empty folder (systemd's) is taken; others may not look in", async (t) => {
  const dir = join(folder, "new");
  await mkdir(`${dir}.unfinished/records`, { recursive: true });
  await writeFile(`${dir}.unfinished/records/CURRENT`, "half");
  await mkdir(dir);
  const store = await createStore(dir);
  await store.commit([byte("a")]);
  await store.close();
  t.equal((await stat(dir)).mode & 0o777, 0o700);
  t.equal((await stat(join(dir, "acknowledged"))).mode & 0o777, 0o600);
});

void t.test("trouble of the machine is STORE_UNAVAILABLE: it must not look like damage", async (t) => {
  const file = join(folder, "in-the-way");
  await writeFile(file, "");
  await t.rejects(openStore(join(file, "store")), { code: "STORE_UNAVAILABLE", retryable: true });
  await t.rejects(createStore(join(file, "store")), { code: "STORE_UNAVAILABLE" });
  if (process.getuid?.() === 0) {
    t.comment("root may read everything: rights not tried");
    return;
  }
  const dir = join(folder, "rights");
  await (await createStore(dir)).close();
  await chmod(join(dir, "acknowledged"), 0o000);
  await t.rejects(openStore(dir), { code: "STORE_UNAVAILABLE" });
});

void t.test("a head is 88 bytes, byte for byte", (t) => {
  const head = { commit: 258, records: 3, xor: new Uint8Array(32).fill(0xab) };
  const bytes = encodeHead(head);
  t.equal(Buffer.from(bytes).toString("hex"),
    "534b53544f524531" + "0000000000000102" + "0000000000000003" + "ab".repeat(32) + "4d5741f8de7bb2a72890381046363769a16fa4b71372de71c3c3ea373a77d561");
  t.strictSame(decodeHead(bytes), head);
  t.strictSame(decodeHead(Buffer.from(bytes)), head);
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const spoilt = bytes.slice();
    spoilt[bit >> 3]! ^= 1 << (bit & 7);
    if (decodeHead(spoilt) !== null) t.fail(`bit ${bit}`);
  }
  for (const length of [0, 87]) t.equal(decodeHead(bytes.subarray(0, length)), null);
  t.equal(decodeHead(new Uint8Array([...bytes, 0])), null);
  t.end();
});

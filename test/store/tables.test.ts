import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { createStore, openStore } from "../../agent/store/level.ts";
import { crc32c, damagedTable } from "../../agent/store/tables.ts";

const folder = await mkdtemp(join(tmpdir(), "shardkeep-tables-"));
t.teardown(async () => { await rm(folder, { recursive: true }); });

void t.test("CRC-32C of RFC 3720 §B.4", (t) => {
  t.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  t.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  t.equal(crc32c(new Uint8Array(32).map((_, index) => index)), 0x46dd794e);
  t.equal(crc32c(new Uint8Array(32).map((_, index) => 31 - index)), 0x113fdb5c);
  t.equal(crc32c(Buffer.from("01c00000000000000000000000000000140000000000040000000014000000182800000000000000" + "02000000" + "00000000", "hex")), 0xd9963a56);
  t.end();
});

void t.test("every bit of a real table of many blocks: seen here, or in the magic number, which LevelDB checks", async (t) => {
  const dir = join(folder, "blocks");
  const store = await createStore(dir);
  await store.commit(Array.from({ length: 100 }, (_, index) => ({ put: `record/${index}`, value: Buffer.alloc(200, index) })));
  await store.close();
  await (await openStore(dir)).close();
  const records = join(dir, "records");
  const sizes: number[] = [];
  t.equal(await damagedTable(records), undefined);
  for (const name of (await readdir(records)).filter((name) => name.endsWith(".ldb"))) {
    const whole = await readFile(join(records, name));
    sizes.push(whole.length);
    const unseen: number[] = [];
    for (let at = 0; at < whole.length; at += at < whole.length - 300 ? 151 : 1) {
      const spoilt = Buffer.from(whole);
      spoilt[at]! ^= 1 << (at % 8);
      await writeFile(join(records, name), spoilt);
      if ((await damagedTable(records)) !== name) unseen.push(at - whole.length);
    }
    await writeFile(join(records, name), whole);
    // The footer is two handles, zeros up to 40 bytes that mean nothing, and the magic number.
    t.ok(unseen.every((at) => at >= -42), `unseen at ${String(unseen)} from the end`);
    for (const length of [0, 1, 47, 48, whole.length - 1]) {
      await writeFile(join(records, name), whole.subarray(0, length));
      t.equal(await damagedTable(records), undefined, "what a crash leaves of a table has no magic number");
    }
    await writeFile(join(records, name), whole.subarray(-100));
    t.equal(await damagedTable(records), name, "handles that point outside");
    await t.rejects(openStore(dir), { code: "STORE_DAMAGED", message: new RegExp(`records/${name} does not match`) }, "LevelDB does not see it");
    await writeFile(join(records, name), whole);
  }
  t.ok(Math.max(...sizes) > 20_000, "five blocks and more");
  await t.rejects(damagedTable(join(folder, "nowhere")), { code: "ENOENT" });
});

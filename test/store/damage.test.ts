import { copyFile, cp, mkdtemp, open, readdir, readFile, rename, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { toWire } from "../../agent/runtime/errors.ts";
import { createStore, openStore } from "../../agent/store/level.ts";
import type { Head } from "../../agent/store/store.ts";

const folder = await mkdtemp(join(tmpdir(), "shardkeep-damage-"));
t.teardown(async () => { await rm(folder, { recursive: true }); });

interface Content { readonly head: Head; readonly entries: readonly (readonly [string, Uint8Array])[] }

async function contentOf(dir: string): Promise<Content> {
  const store = await openStore(dir);
  const content = { head: store.head, entries: store.entries("") };
  await store.close();
  return content;
}

/** Commits of many small and a few large records; with `restarts`, LevelDB turns its log into tables in between. */
async function fill(dir: string, restarts: number, commits: number): Promise<Content> {
  let store = await createStore(dir);
  for (let round = 0; round <= restarts; round++) {
    for (let commit = 0; commit < commits; commit++) {
      await store.commit([
        { put: `record/${round}/${commit}`, value: Buffer.alloc(120, commit) },
        { put: "counter", value: Buffer.from(`${round}.${commit}`) },
        { del: `record/${round}/${commit - 3}` },
      ]);
    }
    await store.close();
    store = await openStore(dir);
  }
  await store.close();
  return await contentOf(dir);
}

async function filesOf(dir: string): Promise<string[]> {
  const names = await readdir(dir, { recursive: true });
  const kinds = await Promise.all(names.map((name) => stat(join(dir, name))));
  return names.filter((_, index) => kinds[index]!.isFile());
}

/** Opens a damaged copy twice, as a service manager would: full content each time, or a named error each time. */
async function outcome(dir: string, expected: Content): Promise<string> {
  const results: string[] = [];
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      const found = await contentOf(dir);
      results.push(JSON.stringify(found) === JSON.stringify(expected) ? "full" : `LOST: commit ${found.head.commit}, ${found.entries.length} records`);
    } catch (error) {
      results.push(toWire(error).code);
    }
  }
  return results[0] === results[1] ? results[0]! : results.join(" then ");
}

async function damagedCopy(dir: string, spoil: (copy: string) => Promise<void>, expected: Content): Promise<string> {
  const copy = `${dir}-damaged`;
  await cp(dir, copy, { recursive: true });
  await spoil(copy);
  const result = await outcome(copy, expected);
  await rm(copy, { recursive: true, force: true });
  return result;
}

async function make(name: string, restarts: number, commits: number): Promise<{ dir: string; content: Content }> {
  const dir = join(folder, name);
  await fill(dir, restarts, commits);
  const store = await openStore(dir);
  for (let commit = 0; commit < 20; commit++) await store.commit([{ put: `late/${commit}`, value: Buffer.alloc(100, commit) }]);
  const content = { head: store.head, entries: store.entries("") };
  // Copied while open: a closed store has nothing more in its files than one whose process was killed.
  await cp(dir, `${dir}-image`, { recursive: true });
  await store.close();
  return { dir: `${dir}-image`, content };
}

const kinds = [
  { name: "log only", restarts: 0, commits: 40 },
  { name: "tables and a log", restarts: 2, commits: 30 },
];

for (const { name, restarts, commits } of kinds) void t.test(name, async (t) => {
  const { dir, content } = await make(name.replaceAll(" ", "-"), restarts, commits);
  t.equal(await damagedCopy(dir, () => Promise.resolve(), content), "full", "undamaged, as a killed process leaves it");

  await t.test(`one bit flipped at every 512th byte of every file`, async (t) => {
    const seen = new Map<string, number>();
    for (const file of await filesOf(dir)) {
      const { size } = await stat(join(dir, file));
      for (let position = 0; position < size; position += 512) {
        const result = await damagedCopy(dir, async (copy) => {
          const handle = await open(join(copy, file), "r+");
          const byte = new Uint8Array(1);
          await handle.read(byte, 0, 1, position);
          byte[0]! ^= 1 << ((position / 512) % 8);
          await handle.write(byte, 0, 1, position);
          await handle.close();
        }, content);
        seen.set(result, (seen.get(result) ?? 0) + 1);
        if (result !== "full" && result !== "STORE_DAMAGED") t.fail(`${file} at ${position}: ${result}`);
      }
    }
    t.comment(JSON.stringify([...seen]));
    t.ok((seen.get("STORE_DAMAGED") ?? 0) > 3, "flips in the content were seen");
  });

  await t.test(`each file deleted, emptied, cut short by one byte and by half`, async (t) => {
    for (const file of await filesOf(dir)) {
      const { size } = await stat(join(dir, file));
      const deleted = await damagedCopy(dir, (copy) => rm(join(copy, file)), content);
      const cut = await Promise.all([0, Math.max(0, size - 1), size >> 1].map(async (length, index) => {
        const image = `${dir}-${index}`;
        await cp(dir, image, { recursive: true });
        const result = await damagedCopy(image, (copy) => truncate(join(copy, file), length), content);
        await rm(image, { recursive: true });
        return result;
      }));
      t.comment(`${file}: deleted ${deleted}; empty, one byte, half: ${cut.join(", ")}`);
      // LOCK, LOG and LOG.old hold nothing; everything else is missed.
      const harmless = /LOCK$|LOG(\.old)?$/.test(file);
      t.equal(deleted, harmless ? "full" : "STORE_DAMAGED", file);
      for (const result of cut) t.match(result, /^(full|STORE_DAMAGED)$/, file);
    }
  });

  await t.test(`every file replaced by an older version of itself`, async (t) => {
    const older = `${dir}-older`;
    await cp(dir, older, { recursive: true });
    const store = await openStore(older);
    await store.commit([{ put: "newer", value: new Uint8Array(8) }]);
    const newer = { head: store.head, entries: store.entries("") };
    await cp(older, `${older}-image`, { recursive: true });
    await store.close();
    for (const file of await filesOf(`${older}-image`)) {
      const result = await damagedCopy(`${older}-image`, async (copy) => {
        await copyFile(join(dir, file), join(copy, file)).catch(() => rm(join(copy, file)));
      }, newer);
      if (!/^(full|STORE_DAMAGED)$/.test(result)) t.fail(`${file}: ${result}`);
    }
    t.equal(await damagedCopy(`${older}-image`, async (copy) => {
      await rm(join(copy, "records"), { recursive: true });
      await cp(join(dir, "records"), join(copy, "records"), { recursive: true });
    }, newer), "STORE_DAMAGED", "the whole database put back by one commit");
  });
});

void t.test("a log that lost its end opens in LevelDB as an older, consistent store: only the slots outside tell", async (t) => {
  const { dir, content } = await make("cut", 0, 10);
  const log = (await filesOf(dir)).find((file) => file.endsWith(".log"))!;
  for (const lost of [1, 200, 1000]) {
    t.equal(await damagedCopy(dir, async (copy) => {
      await truncate(join(copy, log), (await stat(join(copy, log))).size - lost);
    }, content), "STORE_DAMAGED");
  }
});

void t.test("a process that ended between batch and slot: the commit is whole and counts", async (t) => {
  const dir = join(folder, "between");
  const store = await createStore(dir);
  await store.commit([{ put: "a", value: new Uint8Array([1]) }]);
  await copyFile(join(dir, "acknowledged"), join(folder, "slots-before"));
  await store.commit([{ put: "a", value: new Uint8Array([2]) }]);
  await store.close();
  await copyFile(join(folder, "slots-before"), join(dir, "acknowledged"));
  const found = await contentOf(dir);
  t.equal(found.head.commit, 2);
  t.strictSame(found.entries, [["a", new Uint8Array([2])]]);
  const [kept, now] = await Promise.all([readFile(join(folder, "slots-before")), readFile(join(dir, "acknowledged"))]);
  t.notSame(now, kept, "opening acknowledged it, so that it cannot be lost later either");
  await copyFile(join(folder, "slots-before"), join(dir, "acknowledged"));
  const again = await openStore(dir);
  await again.commit([{ put: "a", value: new Uint8Array([3]) }]);
  await again.close();
  await copyFile(join(folder, "slots-before"), join(dir, "acknowledged"));
  await t.rejects(openStore(dir), { code: "STORE_DAMAGED" }, "two commits ahead cannot come from a crash");
});

void t.test("a slot that tore leaves the other; two torn slots are damage", async (t) => {
  const dir = join(folder, "torn");
  const store = await createStore(dir);
  for (let commit = 1; commit <= 4; commit++) await store.commit([{ put: "a", value: new Uint8Array([commit]) }]);
  await store.close();
  const slots = await readFile(join(dir, "acknowledged"));
  const tear = async (...starts: number[]) => {
    const torn = Buffer.from(slots);
    for (const start of starts) torn.fill(0xff, start + 20, start + 60);
    await writeFile(join(dir, "acknowledged"), torn);
  };
  await tear(0);
  t.equal((await contentOf(dir)).head.commit, 4);
  await tear(4096);
  t.equal((await contentOf(dir)).head.commit, 4);
  await tear(0, 4096);
  await t.rejects(openStore(dir), { code: "STORE_DAMAGED", message: /no whole slot/ });
});

void t.test("an old copy of the whole folder opens: only peers can tell", async (t) => {
  const dir = join(folder, "rolled");
  const store = await createStore(dir);
  await store.commit([{ put: "a", value: new Uint8Array([1]) }]);
  await cp(dir, `${dir}-backup`, { recursive: true });
  await store.commit([{ put: "a", value: new Uint8Array([2]) }]);
  await store.close();
  await rm(dir, { recursive: true });
  await rename(`${dir}-backup`, dir);
  t.equal((await contentOf(dir)).head.commit, 1);
});

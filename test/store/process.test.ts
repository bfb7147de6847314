import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import t, { type Test } from "tap";
import { root } from "#paths";
import { createStore, openStore } from "../../agent/store/level.ts";
import type { Store } from "../../agent/store/store.ts";

/** Stores in processes of their own, from dist/: killed, locked, out of space. */
const folder = await mkdtemp(join(tmpdir(), "shardkeep-process-"));
t.teardown(async () => { await rm(folder, { recursive: true }); });

const compiled = pathToFileURL(`${root}dist/agent/store/level.js`).href;

/** Runs `code` with `openStore` and `dir` in scope. `said` fills with its lines; `until(n)` waits for that many, or its end. */
function child(dir: string, code: string, prefix: readonly string[] = []) {
  const script = `import { openStore } from ${JSON.stringify(compiled)}; const dir = ${JSON.stringify(dir)};\n${code}`;
  const env = { ...process.env };
  delete env["NODE_OPTIONS"];
  const running = spawn("env", [...prefix, process.execPath, "--input-type=module", "-e", script], { env, stdio: ["pipe", "pipe", "inherit"] });
  const said: string[] = [];
  createInterface({ input: running.stdout }).on("line", (line) => said.push(line));
  const ended = once(running, "close").then(() => true);
  const until = async (count: number) => {
    while (said.length < count && !await Promise.race([ended, once(running.stdout, "data").then(() => false)]));
  };
  return { running, said, until, ended };
}

const value = (commit: number) => Buffer.alloc(40_000, commit % 251);

/** What the child below must have left if its last commit was `last`. */
function verify(t: Test, store: Store, last: number): void {
  t.equal(Buffer.from(store.get("last")!).toString(), String(last));
  const window = store.entries("value/").map(([key]) => Number(key.slice(6))).sort((a, b) => a - b);
  t.strictSame(window, Array.from({ length: Math.min(last, 5) }, (_, index) => Math.max(last - 4, 1) + index));
  for (const commit of window) t.ok(value(commit).equals(store.get(`value/${commit}`)!), `value ${commit}`);
}

void t.test("SIGKILL in the middle of commits: the last acknowledged one is there, whole, and at most one more", async (t) => {
  const dir = join(folder, "killed");
  await (await createStore(dir)).close();
  let last = 0;
  for (const rounds of [1, 7, 150, 40, 3, 230, 2]) {
    // Values large enough that LevelDB writes and merges tables while it is killed.
    const { running, said, until, ended } = child(dir, `
      const store = await openStore(dir);
      for (let n = store.head.commit + 1; ; n++) {
        await store.commit([{ put: "last", value: Buffer.from(String(n)) }, { put: "value/" + n, value: Buffer.alloc(40_000, n % 251) }, { del: "value/" + (n - 5) }]);
        process.stdout.write(n + "\\n");
      }`);
    await until(rounds);
    running.kill("SIGKILL");
    await ended;
    const acknowledged = Number(said.at(-1));
    const store = await openStore(dir);
    const { commit } = store.head;
    t.ok(acknowledged >= last + rounds && (commit === acknowledged || commit === acknowledged + 1), `acknowledged ${acknowledged}, found ${commit}`);
    verify(t, store, commit);
    await store.close();
    last = commit;
  }
});

void t.test("a store that another process has, or this one, is STORE_LOCKED and stays unharmed", async (t) => {
  const dir = join(folder, "locked");
  await (await createStore(dir)).close();
  const { running, until, ended } = child(dir, `
    const store = await openStore(dir);
    process.stdout.write("open\\n");
    process.stdin.once("data", async () => { await store.commit([{ put: "a", value: new Uint8Array(3) }]); await store.close(); process.exit(); });`);
  await until(1);
  await t.rejects(openStore(dir), { code: "STORE_LOCKED" });
  running.stdin.write("go");
  await ended;
  const store = await openStore(dir);
  t.strictSame(store.entries(""), [["a", new Uint8Array(3)]]);
  await t.rejects(openStore(dir), { code: "STORE_LOCKED" });
  await store.commit([{ put: "b", value: new Uint8Array(1) }]);
  await store.close();
});

void t.test("a commit that the disk does not take: STORE_FAILED, memory as it was, nothing more until reopened, nothing acknowledged lost", async (t) => {
  const dir = join(folder, "full");
  const store = await createStore(dir);
  await store.commit([{ put: "a", value: new Uint8Array([1]) }]);
  await store.close();
  // A file size limit is a full disk that needs no root, once its signal is caught.
  const { said, ended } = child(dir, `
    process.on("SIGXFSZ", () => undefined);
    const store = await openStore(dir);
    await store.commit([{ put: "a", value: new Uint8Array([2]) }]);
    for (const size of [200_000, 1]) {
      await store.commit([{ put: "a", value: new Uint8Array(size) }]).catch((error) => process.stdout.write(error.code + "\\n"));
    }
    process.stdout.write([store.get("a").join(), store.head.commit].join(" ") + "\\n");
    await store.close();
    await store.commit([]).catch((error) => process.stdout.write(error.code + "\\n"));
    process.exit();`, ["prlimit", "--fsize=100000"]);
  await ended;
  t.strictSame(said, ["STORE_FAILED", "STORE_FAILED", "2 2", "STORE_FAILED"]);
  const after = await openStore(dir);
  t.strictSame(after.entries(""), [["a", new Uint8Array([2])]]);
  await after.close();
});

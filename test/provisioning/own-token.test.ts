import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { makeFolder, writeDurably } from "../../agent/runtime/durable.ts";
import { ShardkeepError } from "../../agent/runtime/errors.ts";
import { ensureKeyFile, readKeyFile } from "../../agent/runtime/key-file.ts";
import { Ownership, ownStore, ownToken, type Token } from "../../agent/runtime/provision.ts";

const of = { site: "plant", name: "box-1" };
const folderOf = (t: Test): string => {
  const folder = mkdtempSync(join(tmpdir(), "shardkeep-own-"));
  t.teardown(() => { rmSync(folder, { recursive: true, force: true }); });
  return folder;
};
const failing = (code: string) => (): Promise<never> => Promise.reject(new ShardkeepError(code, code));

interface Fake { stopped: boolean; info: () => Promise<{ serial: string }>; stop: () => Promise<void> }
function token(change: Partial<Token<Fake>> = {}, serial = "s1"): { token: Token<Fake>; hsm: Fake; made: () => number } {
  let made = 0;
  const hsm: Fake = { stopped: false, info: () => Promise.resolve({ serial }), stop: () => { hsm.stopped = true; return Promise.resolve(); } };
  return { hsm, made: () => made, token: { initialise: () => { made += 1; return Promise.resolve(); }, start: () => Promise.resolve(hsm), hasKeys: () => Promise.resolve(false), ...change } };
}

void t.test("a token becomes ours once", async (t) => {
  const state = folderOf(t);
  const said: unknown[] = [];
  const first = token();
  t.equal(await ownToken(new Ownership(state, of), first.token, (...step) => said.push(step)), first.hsm);
  t.equal(first.made(), 1);
  const again = token({ hasKeys: () => Promise.resolve(true) });
  await ownToken(new Ownership(state, of), again.token, (...step) => said.push(step));
  t.equal(again.made(), 0, "never made twice");
  t.same(said, [["token", "changed", { serial: "s1" }], ["token", "ok", { serial: "s1" }]]);
  t.equal(statSync(join(state, "owner.json")).mode & 0o777, 0o600);
});

void t.test("a token that was there is taken only if it is empty and our PIN opens it", async (t) => {
  const there = failing("TOKEN_EXISTS");
  const adopted = token({ initialise: there });
  t.equal(await ownToken(new Ownership(folderOf(t), of), adopted.token, () => undefined), adopted.hsm, "left by a run that was cut off");
  const device = token({ initialise: undefined });
  t.equal(await ownToken(new Ownership(folderOf(t), of), device.token, () => undefined), device.hsm, "a device is initialised by its own tools");
  for (const [what, change, code] of [
    ["with keys", { initialise: there, hasKeys: () => Promise.resolve(true) }, "TOKEN_FOREIGN"],
    ["with another PIN", { initialise: there, start: failing("PIN_REFUSED") }, "TOKEN_FOREIGN"],
    ["in use by another process", { initialise: there, start: failing("ALREADY_OWNED") }, "ALREADY_OWNED"],
    ["that was just made and does not start", { start: failing("HSM_FAULT") }, "HSM_FAULT"],
    ["that cannot be made", { initialise: failing("HSM_CONFIG_INVALID") }, "HSM_CONFIG_INVALID"],
  ] as const) {
    const state = folderOf(t);
    const bad = token(change);
    await t.rejects(ownToken(new Ownership(state, of), bad.token, () => undefined), { code }, what);
    t.notOk(existsSync(join(state, "owner.json")), `${what}: not ours`);
    if (what === "with keys") t.ok(bad.hsm.stopped, "and let go");
  }
});

void t.test("a token that was ours", async (t) => {
  const state = folderOf(t);
  await ownToken(new Ownership(state, of), token().token, () => undefined);
  const exchanged = token({}, "s2");
  await t.rejects(ownToken(new Ownership(state, of), exchanged.token, () => undefined), { code: "TOKEN_FOREIGN" }, "another one in its place");
  t.ok(exchanged.hsm.stopped);
  const lost = token({ start: failing("TOKEN_MISSING") });
  await t.rejects(ownToken(new Ownership(state, of), lost.token, () => undefined), { code: "TOKEN_MISSING" }, "lost, and said so");
  t.equal(lost.made(), 0, "not made anew");
  t.throws(() => new Ownership(state, { ...of, name: "box-2" }), { code: "STATE_FOREIGN" });
  t.throws(() => new Ownership(state, { ...of, site: "other" }), { code: "STATE_FOREIGN" });
});

void t.test("a store is made once", async (t) => {
  const ownership = new Ownership(folderOf(t), of);
  const steps: string[] = [];
  const say = (step: string, state: string): void => { steps.push(`${step} ${state}`); };
  const at = { open: () => Promise.resolve("opened"), create: () => Promise.resolve("made"), missing: "STORE_MISSING" };
  t.equal(await ownStore(ownership, at, say), "opened");
  t.equal(await ownStore(ownership, { ...at, open: failing("STORE_MISSING") }, say), "made");
  t.same(steps, ["store ok", "store changed"]);
  await t.rejects(ownStore(ownership, { ...at, open: failing("STORE_DAMAGED") }, say), { code: "STORE_DAMAGED" }, "a damaged one is not replaced");
  ownership.finish();
  await t.rejects(ownStore(ownership, { ...at, open: failing("STORE_MISSING") }, say), { code: "STATE_DAMAGED" }, "nor a lost one");
});

void t.test("files that are there whole or not at all", (t) => {
  const folder = folderOf(t);
  makeFolder(join(folder, "a", "b"));
  t.equal(statSync(join(folder, "a", "b")).mode & 0o777, 0o700);
  const path = join(folder, "file");
  writeFileSync(path, "old", { mode: 0o644 });
  writeDurably(path, "new");
  t.equal(readFileSync(path, "utf8"), "new");
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.notOk(existsSync(`${path}.new`));
  const key = ensureKeyFile(join(folder, "key"));
  t.ok(key.equals(ensureKeyFile(join(folder, "key"))), "a key is made once");
  t.equal(key.type, "public");
  t.equal(readKeyFile(join(folder, "key")).type, "private");
  t.equal(statSync(join(folder, "key")).mode & 0o777, 0o600);
  t.end();
});

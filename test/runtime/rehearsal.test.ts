import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { makeFolder, writeDurably } from "../../agent/runtime/durable.ts";
import { ShardkeepError } from "../../agent/runtime/errors.ts";
import { rehearse } from "../../agent/runtime/rehearsal.ts";
import { inStep, requireWritable } from "../../agent/runtime/steps.ts";

function folderOf(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), "shardkeep-rehearsal-"));
  t.teardown(() => { rmSync(folder, { recursive: true, force: true }); });
  return folder;
}

void t.test("what is written in a rehearsal stays nowhere", async (t) => {
  const folder = folderOf(t);
  const state = join(folder, "state");
  mkdirSync(join(state, "tls"), { recursive: true });
  mkdirSync(join(state, "store"));
  for (const file of ["owner.json", "owner.json.new", "tls/key", "store/records"]) writeFileSync(join(state, file), file);
  const said: unknown[] = [];
  let scratch = "";
  await rehearse(state, [folder], (...step) => said.push(step), async (on) => {
    scratch = on.scratch;
    t.equal(readFileSync(join(on.state, "tls", "key"), "utf8"), "tls/key");
    t.ok(lstatSync(join(on.state, "tls", "key")).isSymbolicLink(), "no secret is copied");
    t.notOk(lstatSync(join(on.state, "store", "records")).isSymbolicLink(), "a store is written where it lies");
    writeFileSync(join(on.state, "store", "records"), "changed");
    // The link to what a power cut left beside it is not written through either.
    writeDurably(join(on.state, "owner.json"), "changed");
    on.say("one", "ok", { serial: "s", at: join(on.state, "x") });
    on.say("two", "changed", { serial: "s", count: 1 });
    on.say("three", "ok", { authority: "a" });
  });
  t.same(said, [["one", "ok", { serial: "s", at: join(state, "x") }], ["two", "would change", { count: 1 }], ["three", "ok", {}]], "names of what will be another are not said");
  for (const file of ["owner.json", "owner.json.new", "tls/key", "store/records"]) t.equal(readFileSync(join(state, file), "utf8"), file);
  t.notOk(existsSync(scratch));
  await t.rejects(rehearse(join(folder, "new"), [], () => undefined, async (on) => {
    scratch = on.scratch;
    makeFolder(on.state);
    throw new ShardkeepError("STATE_DAMAGED", `${on.state} is bad`, { remedy: `look at ${on.state}` });
  }), { code: "STATE_DAMAGED", message: `${join(folder, "new")} is bad`, remedy: `look at ${join(folder, "new")}` });
  t.same([existsSync(scratch), readdirSync(folder)], [false, ["state"]], "nor after an error");
  writeFileSync(join(folder, "file"), "");
  t.throws(() => { requireWritable(folder, Number.MAX_SAFE_INTEGER); }, { code: "DISK_FULL", message: new RegExp(`free at ${folder}`), remedy: /./ });
  const below = join(folder, "file", "x");
  await t.rejects(rehearse(state, [below], () => undefined, () => t.fail("is not begun") as never), { code: "DISK_UNWRITABLE" });
  t.throws(() => { requireWritable(below); }, { code: "DISK_UNWRITABLE", message: new RegExp(`${join(folder, "file")}$`), remedy: /sudo -u shardkeep/ });
});

void t.test("a step that fails says so, by its name", async (t) => {
  const said: unknown[] = [];
  const failing = (error: unknown): Promise<unknown> => inStep((...step) => said.push(step), "store", () => { throw error; });
  const onDisk = (code: string): Error => Object.assign(new Error(code), { code, path: "/a/b" });
  await t.rejects(failing(new ShardkeepError("STORE_DAMAGED", "bad", { remedy: "keep it" })), { code: "STORE_DAMAGED" });
  await t.rejects(failing(new ShardkeepError("STORE_LOCKED", "held")), { code: "STORE_LOCKED" });
  t.same(said.splice(0), [["store", "failed", { code: "STORE_DAMAGED", message: "bad", remedy: "keep it" }], ["store", "failed", { code: "STORE_LOCKED", message: "held" }]]);
  for (const [code, name] of [["ENOSPC", "DISK_FULL"], ["EDQUOT", "DISK_FULL"], ["EROFS", "DISK_UNWRITABLE"], ["EACCES", "DISK_UNWRITABLE"], ["EPERM", "DISK_UNWRITABLE"]] as const) {
    await t.rejects(failing(onDisk(code)), { code: name, message: /\/a\/b/, remedy: /./ }, code);
  }
  t.equal(said.splice(0).length, 5);
  await t.rejects(failing(onDisk("EIO")), { code: "EIO" });
  await t.rejects(failing(new TypeError("x")), TypeError);
  t.same(said, [], "what nobody expected is no result");
});

import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import t, { type Test } from "tap";
import { readArchive } from "../../../provisioning/backup/archive.ts";
import { backUp } from "../../../provisioning/backup/backup.ts";
import { restore } from "../../../provisioning/backup/restore.ts";
import { writeDurably } from "../../../agent/runtime/durable.ts";
import { box } from "./support.ts";

const as = { replace: false, dryRun: false };
/** Every file under a folder with what is in it. */
function tree(folder: string): Record<string, string> {
  return Object.fromEntries(readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => statSync(join(folder, name)).isFile() && !name.endsWith("r.lock")).sort().map((name) => [name, readFileSync(join(folder, name), "latin1")]));
}

void t.test("there and back", async (t) => {
  const { at, file, of, config } = await box(t);
  const before = tree(at("box-1"));
  t.match(await backUp(of, at("out"), true), { files: [{ name: "config" }, { name: "pin" }] });
  t.notOk(existsSync(at("out")), "a dry run writes nothing");
  const { files } = await backUp(of, at("out"), false);
  t.same(readdirSync(at(".")).sort(), ["box-1", "box.yaml", "out"], "nothing else is left");
  t.equal(statSync(at("out")).mode & 0o777, 0o600);
  t.same(files.map(({ name }) => name).filter((name) => !name.startsWith("state/store/")), ["config", "pin", "state/owner.json", "state/sensor.json", "state/tls/box-1.key.pem", "token/1234/a.lock", "token/1234/token.object"], "no lock of ours, no path of this machine");
  t.match(readArchive(at("out")).manifest, { kind: "box", site: "plant", name: "box-1", commit: 1 });
  t.match(await restore(at("out"), file, as), { steps: [{ step: at("box-1"), state: "ok" }] }, "over itself nothing is to do");

  await t.test("all gone", async (t) => {
    renameSync(at("box-1"), at("gone"));
    rmSync(file);
    t.match(await restore(at("out"), file, { ...as, dryRun: true }), { steps: [{ state: "would change" }, { state: "would change" }] });
    t.same(readdirSync(at(".")).sort(), ["gone", "out"]);
    t.match(await restore(at("out"), file, as), { kind: "box", name: "box-1", steps: [{ step: file, state: "changed" }, { step: at("box-1"), state: "changed" }] });
    const { "softhsm2.conf": conf, ...rest } = tree(at("box-1"));
    t.match(conf, `directories.tokendir = ${at("box-1", "tokens")}\n`);
    t.same({ ...rest, "softhsm2.conf": before["softhsm2.conf"] }, before);
    t.same([statSync(at("box-1")), statSync(at("box-1", "tokens", "1234")), statSync(at("box-1", "pin"))].map(({ mode }) => mode & 0o777), [0o700, 0o700, 0o600]);
    t.match(await restore(at("out"), file, as), { steps: [{ step: at("box-1"), state: "ok" }] }, "again");
  });

  await t.test("into other places, cut off in between", async (t) => {
    const other = config({ state: "s", hsm: { module: "none", token: "box-1", pinFile: "p", softhsmConf: "h/softhsm2.conf" } }, "other.yaml");
    await restore(at("out"), other, as);
    t.match(readFileSync(at("h", "softhsm2.conf"), "utf8"), at("h", "tokens"));
    t.equal(readFileSync(at("h", "tokens", "1234", "token.object"), "utf8"), "token");
    rmSync(at("s"), { recursive: true });
    mkdirSync(at("s.restoring"));
    rmSync(at("p"));
    t.match(await restore(at("out"), other, as), { steps: [{ step: at("p"), state: "changed" }, { step: at("h", "tokens"), state: "ok" }, { step: at("s"), state: "changed" }] }, "what was missing, and nothing else");
    t.notOk(existsSync(at("s.restoring")));
  });

  await t.test("over something else", async (t) => {
    writeDurably(at("box-1", "pin"), "271828");
    const changed = tree(at("box-1"));
    await t.rejects(restore(at("out"), file, as), { code: "STATE_EXISTS", message: at("box-1"), remedy: /--replace/ });
    t.same(tree(at("box-1")), changed, "nothing has changed");
    t.match(await restore(at("out"), file, { ...as, replace: true }), { steps: [{ state: "changed", aside: at("box-1.replaced-1") }] });
    t.same(tree(at("box-1.replaced-1")), changed, "moved aside whole");
    t.equal(readFileSync(at("box-1", "pin"), "utf8"), "314159");
  });

  await t.test("of another", async (t) => {
    for (const change of [{ box: "box-2" }, { site: "yard" }]) await t.rejects(restore(at("out"), config(change, "foreign.yaml"), as), { code: "BACKUP_FOREIGN" }, JSON.stringify(change));
  });
});

void t.test("no backup is made", async (t) => {
  const { at, of } = await box(t);
  const refused = async (code: string, out = at("out")): Promise<void> => {
    await t.rejects(backUp(of, out, false), { code, remedy: String }, code);
    t.notOk(existsSync(at("out")) || existsSync(at("out.unfinished")), "nothing is left of it");
  };
  const agent = spawn("flock", [at("box-1", "tokens", "owner.lock"), "cat"], { stdio: ["pipe", "pipe", "ignore"] });
  agent.stdin.write("x");
  await new Promise((resolve) => { agent.stdout.once("data", resolve); });
  await refused("ALREADY_OWNED");
  await t.rejects(restore(await madeBefore(t), at("box.yaml"), { ...as, replace: true }), { code: "ALREADY_OWNED" }, "nor restored");
  agent.stdin.end();
  await new Promise((resolve) => { agent.once("close", resolve); });

  await refused("FILE_UNWRITABLE", at("none", "out"));
  await refused("FILE_UNWRITABLE", at("box-1", "out"));
  await t.rejects(backUp(of, at("box.yaml"), false), { code: "FILE_EXISTS" });
  symlinkSync("/etc/passwd", at("box-1", "link"));
  await refused("BACKUP_UNFIT");
  rmSync(at("box-1", "link"));
  writeFileSync(at("box-1", "a\nb"), "");
  await refused("BACKUP_UNFIT");
  rmSync(at("box-1", "a\nb"));
  renameSync(at("box-1", "store", "acknowledged"), at("acknowledged"));
  await refused("STORE_DAMAGED");
  renameSync(at("acknowledged"), at("box-1", "store", "acknowledged"));
  renameSync(at("box-1", "tokens", "1234"), at("1234"));
  await refused("TOKEN_MISSING");
  renameSync(at("1234"), at("box-1", "tokens", "1234"));
  rmSync(at("box-1", "pin"));
  await refused("PIN_UNREADABLE");
});

async function madeBefore(t: Test): Promise<string> {
  const { at, of } = await box(t);
  await backUp(of, at("out"), false);
  return at("out");
}

void t.test("a backup that is damaged, cut or forged changes nothing", async (t) => {
  const { at, file, of } = await box(t);
  await backUp(of, at("out"), false);
  rmSync(at("box-1"), { recursive: true });
  const whole = readFileSync(at("out"));
  const wanted = [...readArchive(at("out")).contents].map(([name, bytes]) => [name, Buffer.from(bytes).toString("hex")]);
  const forged = async (bytes: Uint8Array, what: string): Promise<void> => {
    writeFileSync(at("forged"), bytes);
    await t.rejects(restore(at("forged"), file, as), { code: "BACKUP_DAMAGED" }, what);
    t.same(readdirSync(at(".")).sort(), ["box.yaml", "forged", "out"], what);
  };
  for (const length of [0, 100, 512, 3000, whole.length / 2]) await forged(whole.subarray(0, length), `cut after ${length} bytes`);
  await forged(Buffer.from("no tar at all"), "text");
  let noticed = 0;
  for (let at_ = 7; at_ < whole.length; at_ += 1499) {
    const flipped = Buffer.from(whole);
    flipped[at_]! ^= 1;
    writeFileSync(at("flipped"), flipped);
    try {
      t.same([...readArchive(at("flipped")).contents].map(([name, bytes]) => [name, Buffer.from(bytes).toString("hex")]), wanted, `byte ${at_} pads`);
    } catch (error) {
      t.match(error, { code: "BACKUP_DAMAGED" }, `byte ${at_}`);
      noticed += 1;
    }
  }
  rmSync(at("flipped"));
  t.ok(noticed > 5);

  // What tar itself would follow or overwrite: every digest is right in these.
  const { manifest, contents } = readArchive(at("out"));
  const evil = async (what: string, change: object, extra: string[] = []): Promise<void> => {
    for (const [name, bytes] of [["manifest.json", Buffer.from(JSON.stringify({ ...manifest, ...change }))], ...contents] as const) {
      mkdirSync(dirname(at("evil", name)), { recursive: true });
      writeFileSync(at("evil", name), bytes);
    }
    writeFileSync(at("evil", "extra"), "more");
    spawnSync("tar", ["-C", at("evil"), "-cf", at("evil.tar"), "manifest.json", ...contents.keys(), ...extra]);
    const bytes = readFileSync(at("evil.tar"));
    rmSync(at("evil"), { recursive: true });
    rmSync(at("evil.tar"));
    await forged(bytes, what);
  };
  const renamed = (from: string, to: string): object => ({ files: manifest.files.map((one) => (one.name === from ? { ...one, name: to } : one)) });
  await evil("a member more", {}, ["extra"]);
  for (const name of ["../../etc/passwd", "/etc/passwd", "state/../../x", "state/./x", "state", "other/x", "state/a\u0000b", "config"]) await evil(name, renamed("state/owner.json", name));
  for (const name of ["config", "pin", "state/store/acknowledged"]) await evil(`without ${name}`, renamed(name, "state/x"));
  await evil("another form", { format: 2 });
});

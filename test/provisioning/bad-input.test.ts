import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { realpath } from "node:fs/promises";
import t, { type Test } from "tap";
import { findFakeTime } from "#paths";
import { generateSigner } from "../../agent/protocol/es256.ts";
import { writeCode } from "../../agent/protocol/invitation.ts";
import { boxAnswer } from "../../agent/protocol/joining.ts";
import { signStatement } from "../../agent/protocol/statement.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { BridgeProcess } from "../../firmware-bridge/client.ts";
import type { Finding } from "../../provisioning/doctor/check.ts";
import { EmulatorProcess } from "../firmware-bridge/support/emulator.ts";
import { freePort, place, run, shardkeep, shardkeepBatch, start, withoutSoftHsm, type Ended, type Place } from "./support.ts";
import { differences, tree } from "./tree.ts";

const fakeTime = findFakeTime();

/*
 * What a tech does wrong on a bad day: each time an error with its code, what to do next and an exit code that a script can
 * go by, and everything is as it was: token, state folder, sensor's pairing, the coordinator's too.
 */
interface Site extends Place {
  /** Box 1 has joined; the files of its joining are beside its configuration. */
  readonly config: string;
  readonly client: string;
  /** The configuration of `box`, changed, as a file of its own. */
  readonly variant: (name: string, box: string, change: object) => string;
}

async function site(t: Test): Promise<Site> {
  const here = place(t, await freePort());
  const { at } = here;
  const coordinator = here.coordinator();
  await run("agent/coordinator/init.js", ["--config", coordinator]);
  await start(t, "agent/coordinator/main.js", ["--config", coordinator], /started/);
  const config = here.box("box-1");
  const client = at("coordinator", "clients", "admin", "client.yaml");
  const joined = await shardkeepBatch([
    ["box", "request", "--config", config, "--out", at("request.json")],
    ["site", "approve", at("request.json"), "--out", at("answer.json"), "--client", client],
    ["box", "accept", at("answer.json"), "--config", config],
  ]);
  for (const { code, stderr } of joined) t.equal(code, 0, stderr);
  const variant = (name: string, box: string, change: object): string => {
    const made = { ...JSON.parse(readFileSync(here.box(box), "utf8")) as object, ...change };
    writeFileSync(at(`${name}.yaml`), JSON.stringify(made));
    return at(`${name}.yaml`);
  };
  return { ...here, config, client, variant };
}

/** A stick or a card of a few kilobytes at `folder`, without a byte left, or read-only. Undefined where nobody may mount one. */
function disk(t: Test, folder: string, kind: "full" | "read-only"): string | undefined {
  mkdirSync(folder);
  if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "none", folder]).status !== 0) return undefined;
  t.teardown(() => { spawnSync("umount", ["-l", folder]); });
  if (kind === "full") spawnSync("dd", ["if=/dev/zero", `of=${folder}/ballast`, "bs=4k"]);
  else spawnSync("mount", ["-o", "remount,ro", folder]);
  return folder;
}

type Row = readonly [what: string, code: string, exit: number, says: RegExp, args: readonly string[]];

const fails = (t: Test, { code, stdout, stderr }: Ended, [what, error, exit, says]: readonly [string, string, number, RegExp, ...unknown[]]): void => {
  t.match({ code, stdout }, { code: exit, stdout: "" }, `${what}: exit ${exit}`);
  t.match(stderr, new RegExp(`^${error}: [^]*\\n {2}next: .`, "m"), `${what}: ${error}, and what to do`);
  t.match(stderr, says, what);
};

void t.test("bad input of every kind is named and changes nothing", { skip: withoutSoftHsm }, async (t) => {
  const here = await site(t);
  const { at, config, client, variant } = here;
  const text = readFileSync(at("request.json"), "utf8");
  const request = JSON.parse(text) as { body: object };
  const answer = boxAnswer.parse(JSON.parse(readFileSync(at("answer.json"), "utf8")));
  const signer = generateSigner();
  const file = (name: string, content: unknown): string => {
    writeFileSync(at(name), typeof content === "string" ? content : JSON.stringify(content));
    return at(name);
  };
  const asked = async (of: string, by: string): Promise<object> => await signStatement(signer, "box-request", of, by, { ...request.body, key: signer.publicKey } as never);
  const approve = (name: string): string[] => ["site", "approve", at(name), "--out", at("never"), "--client", client];
  const accept = (name: string, ...more: string[]): string[] => ["box", "accept", at(name), "--config", config, ...more];
  const ask = (from: string, out = at("never")): string[] => ["box", "request", "--config", from, "--out", out];

  file("other-box.json", { ...answer, body: { ...answer.body, box: "box-2" } });
  file("half-answer.json", JSON.stringify(answer).slice(0, 2000));
  file("half.json", text.slice(0, text.length / 2));
  file("old.json", await asked("plant", "box-1"));
  file("other-site.json", await asked("mill", "box-2"));
  const token = (JSON.parse(readFileSync(config, "utf8")) as { hsm: { pinFile: string } }).hsm;
  const keys = variant("keys", "box-2", { hsm: { ...token, pinFile: "box-1/pin" } });
  const foreign = variant("foreign", "box-2", { hsm: { ...token, pinFile: "box-2/pin" } });
  here.box("box-1");

  const rows: Row[] = [
    ["the wrong stick: another box's answer", "ANSWER_FOREIGN", 65, /for box-2, this is box-1[^]*right stick/, accept("other-box.json")],
    ["an old request, of a box that was made anew since", "NAME_TAKEN", 77, /an old request/, approve("old.json")],
    ["a request of another site", "REQUEST_INVALID", 65, /for site mill, here is plant/, approve("other-site.json")],
    ["half a request", "REQUEST_INVALID", 65, /half of one[^]*copy/, approve("half.json")],
    ["half an answer", "ANSWER_INVALID", 65, /half of it[^]*copy/, accept("half-answer.json")],
    ["a token that already holds keys", "TOKEN_FOREIGN", 77, /it holds keys already/, ask(keys)],
    ["a token with another owner", "TOKEN_FOREIGN", 77, /another owner/, ask(foreign)],
  ];
  const small = { full: disk(t, at("full"), "full"), fixed: disk(t, at("fixed"), "read-only") };
  if (small.full === undefined || small.fixed === undefined) t.pass("a full disk and a read-only card", { skip: "may not mount a small disk" });
  else {
    const on = (name: string): object => ({ state: `${name}/box-2`, hsm: { ...token, token: "box-2", pinFile: `${name}/box-2/pin`, softhsmConf: `${name}/box-2/softhsm2.conf` } });
    rows.push(
      ["a full disk", "DISK_FULL", 1, /0 KiB are free at/, ask(variant("on-full", "box-2", on("full")))],
      ["a full stick for the request", "DISK_FULL", 1, /0 KiB are free at/, ask(variant("new-full", "box-2", {}), at("full", "request"))],
      ["a full stick for the answer", "DISK_FULL", 1, /0 KiB are free at/, ["site", "approve", at("request.json"), "--out", at("full", "answer"), "--client", client]],
      ["a read-only card", "DISK_UNWRITABLE", 1, /mounted read-only/, ask(variant("on-fixed", "box-2", on("fixed")))],
      ["a read-only stick for the request", "FILE_UNWRITABLE", 1, /not read-only/, ask(variant("new-fixed", "box-2", {}), at("fixed", "request"))],
      ["a read-only stick for the answer", "FILE_UNWRITABLE", 1, /not read-only/, ["site", "approve", at("request.json"), "--out", at("fixed", "answer"), "--client", client]],
    );
  }
  for (const [i, ended] of (await shardkeepBatch(rows.map(([, , , , args]) => args), here.folder)).entries()) {
    fails(t, ended, rows[i]!);
    t.same(ended.changed, [], `${rows[i]![0]}: nothing changed`);
  }

  await t.test("a wrong code", async (t) => {
    const args = ["box", "join", "--config", variant("new", "box-2", {}), "--at", "127.0.0.1:1"];
    const before = tree(here.folder, true);
    const code = writeCode(answer.body.record.body.authority, new Uint8Array(10));
    const ended = await shardkeep(args, { input: code.replace(/.$/, (last) => (last === "0" ? "1" : "0")) });
    fails(t, ended, ["a slip of the hand", "CODE_INVALID", 65, /seven groups of five/]);
    t.same(differences(before, tree(here.folder, true)), [], "nothing changed");
  });

  await t.test("no sensor, two, another's", async (t) => {
    const [one, other] = await Promise.all([EmulatorProcess.start(), EmulatorProcess.start()]);
    t.teardown(() => Promise.all([one.stop(), other.stop()]));
    // How a machine names its lines is udev's to say, and no emulator has a name there.
    const names = ["ttyUSB0", "ttyUSB1"].map((name) => at("udev", name));
    mkdirSync(at("udev"));
    symlinkSync(one.link, names[0]!);
    symlinkSync(other.link, names[1]!);
    writeFileSync(at("udev", "udevadm"), `#!/bin/sh\ncat <<END\n${names.map((name) => `P: ${name}\nN: ttyUSB\nE: DEVNAME=${name}\nE: ID_VENDOR_ID=1a86\n`).join("\n")}END\n`, { mode: 0o755 });
    const elsewhere = new BridgeProcess({ config: { sensor: { path: one.link, allowEmulated: true, securityLevel: 3, stateFile: at("elsewhere") } }, log: silentLog, quiet: true });
    await elsewhere.start();
    await elsewhere.pair().finally(() => elsewhere.stop());
    const sensor = (path: string): object => ({ sensor: { path, allowEmulated: true } });
    const paths = await Promise.all([one, other].map(({ link }) => realpath(link)));
    for (const [what, code, said, remedy, config] of [
      ["two sensors", "DEVICE_AMBIGUOUS", new RegExp(`2 lines answer.*: ${paths.join(".*")}`), /`sensor.path`/, variant("two", "box-1", sensor("auto"))],
      ["a sensor paired elsewhere", "SENSOR_PAIRED_ELSEWHERE", /another box's/, /own sensor, or a new one/, variant("elsewhere", "box-1", sensor(one.link))],
      ["no sensor", "DEVICE_NOT_FOUND", /^nothing at .* answers/, /cable/, variant("none", "box-1", sensor(other.link))],
    ] as const) {
      here.box("box-1");
      if (code === "DEVICE_NOT_FOUND") await other.control({ cmd: "power", to: "off" });
      const before = tree(here.folder, true);
      const ended = await shardkeep(["doctor", "--config", config, "--json"], { env: { PATH: `${at("udev")}:${process.env["PATH"] ?? ""}` } });
      const { findings } = JSON.parse(ended.stdout) as { findings: Finding[] };
      t.match([ended.code, findings.find(({ check }) => check === "sensor")], [1, { state: "failed", code, detail: said, remedy }], what);
      t.same(differences(before, tree(here.folder, true)), [], `${what}: nothing changed`);
    }
  });

  await t.test("a clock in 1970 is a warning", { skip: fakeTime === null ? "libfaketime is not installed" : false }, async (t) => {
    const env = { ...fakeTime?.env, FAKETIME: "@1970-01-01 00:01:00", FAKETIME_DONT_FAKE_MONOTONIC: "1" };
    const box = here.box("box-2");
    const unset = /"step":"clock","state":"ok","warning":"CLOCK_UNSET: it says 1970-01-01T[^"]*timedatectl/;
    const made = await run("agent/box/init.js", ["request", "--config", box, "--out", at("request-2.json")], { env });
    t.match(made, { code: 0, stdout: unset }, made.stderr);
    const [approved] = await shardkeepBatch([["site", "approve", at("request-2.json"), "--out", at("answer-2.json"), "--client", client]]);
    t.match(approved, { code: 0 });
    const accepted = await run("agent/box/init.js", ["accept", at("answer-2.json"), "--config", box], { env });
    t.match(accepted, { code: 0, stdout: unset }, accepted.stderr);
    // Started: it has found its broker, whose certificate it took, and the coordinator's record.
    const agent = await run("agent/box/main.js", ["--config", box], { env, killAt: /: started/ });
    t.match(agent.stdout, /<4>box-2: clock unset code="CLOCK_UNSET" says="1970-[^]*: started/, agent.stderr);
    const found = await shardkeep(["doctor", "--json"], { env });
    t.equal(found.code, 0, found.stderr);
    t.match((JSON.parse(found.stdout) as { findings: Finding[] }).findings.find(({ check }) => check === "clock"), { state: "warn", code: "CLOCK_UNSET", detail: /1970/, remedy: /timedatectl/ });
  });
});

import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { findMosquitto, root } from "#paths";
import { mosquittoAcl, mosquittoConfig, type MosquittoOptions } from "../../agent/mqtt/mosquitto.ts";
import { certificates } from "./support/certificates.ts";
import { raw } from "./support/raw.ts";
import { twoFreePorts, until } from "./support/wait.ts";

const standard: MosquittoOptions = {
  host: "0.0.0.0", boxPort: 8883, clientPort: 8884, coordinator: "coordinator",
  ca: "/etc/mosquitto/shardkeep/ca.pem", cert: "/etc/mosquitto/shardkeep/broker.pem", key: "/etc/mosquitto/shardkeep/broker.key.pem",
  acl: "/etc/mosquitto/shardkeep/acl",
};

void t.test("systemd/mosquitto is what the generator writes for the standard places", (c) => {
  const shipped = (name: string): string => readFileSync(join(root, "systemd/mosquitto", name), "utf8");
  c.equal(shipped("shardkeep.conf"), mosquittoConfig(standard));
  c.equal(shipped("shardkeep.acl"), mosquittoAcl(standard));
  c.end();
});

void t.test("no name or path says more than a name or path", (c) => {
  for (const ca of ["relative/ca.pem", "/ca.pem\nallow_anonymous true", "/ca.pem ", ""]) c.throws(() => mosquittoConfig({ ...standard, ca }), { code: "NAME_INVALID" }, ca);
  for (const coordinator of ["", "all\ntopic readwrite #", "Coordinator"]) c.throws(() => mosquittoAcl({ coordinator }), { code: "NAME_INVALID" }, coordinator);
  for (const host of ["0.0.0.0\nallow_anonymous true", "not a host"]) c.throws(() => mosquittoConfig({ ...standard, host }), { code: "NAME_INVALID" }, host);
  c.end();
});

const program = findMosquitto();
const skip = program === null ? "mosquitto is not installed: apt-get install mosquitto" : false;

void t.test("who has retired is denied by name", (c) => {
  c.equal(mosquittoAcl({ ...standard, retired: ["box-3", "laptop"] }), `${mosquittoAcl(standard)}\nuser box-3\ntopic deny #\n\nuser laptop\ntopic deny #\n`);
  c.throws(() => mosquittoAcl({ ...standard, retired: ["all\ntopic readwrite #"] }), { code: "NAME_INVALID" });
  c.end();
});

void t.test("as a fragment under Debian's own mosquitto.conf", { skip }, async (c) => {
  if (program === null) return;
  const folder = c.testdir();
  const conf = join(folder, "conf.d");
  mkdirSync(conf);
  const at = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const site = await certificates(["box-1", "coordinator"]);
  const [boxPort, clientPort] = await twoFreePorts();
  const options: MosquittoOptions = {
    ...standard, host: "127.0.0.1", boxPort, clientPort,
    ca: at("ca.pem", site.broker.ca), cert: at("broker.pem", site.broker.cert), key: at("broker.key.pem", site.broker.key), acl: at("acl", mosquittoAcl(standard)),
  };
  writeFileSync(join(conf, "shardkeep.conf"), mosquittoConfig(options));
  // What the package installs (mosquitto 2.0.11-1+deb12u2), its paths ours.
  const me = process.getuid?.() === 0 ? "user root\n" : "";
  const main = at("mosquitto.conf", `${me}persistence true\npersistence_location ${folder}/\nlog_dest stderr\ninclude_dir ${conf}\n`);
  const child = spawn(program.file, ["-c", main], { env: { ...program.env }, stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  child.stderr.on("data", (chunk: Buffer) => { log += chunk.toString(); });
  const ended = new Promise<void>((resolve) => { child.once("exit", () => { resolve(); }); });
  c.teardown(async () => { child.kill("SIGTERM"); await ended; });
  // A knock without TLS may be noted as an error of OpenSSL: it says itself when it listens.
  await Promise.race([until(() => /mosquitto version \S+ running/.test(log), "mosquitto runs"), ended.then(() => { throw new Error(log); })]);
  const box = await raw(`mqtts://127.0.0.1:${boxPort}`, site.of("box-1"), "box-1");

  // A retired box has its certificate for ever, and may be connected: from the reload on it is neither heard nor told anything.
  const coordinator = await raw(`mqtts://127.0.0.1:${boxPort}`, site.of("coordinator"), "coordinator");
  await coordinator.client.subscribeAsync("shardkeep/v1/box/+/up/+");
  await box.client.subscribeAsync("shardkeep/v1/box/box-1/down/request");
  const echo = async (text: string): Promise<string[]> => {
    await box.client.publishAsync("shardkeep/v1/box/box-1/up/event", text, { qos: 1 });
    await coordinator.client.publishAsync("shardkeep/v1/box/box-1/down/request", text, { qos: 1 });
    await coordinator.client.publishAsync("shardkeep/v1/coordinator/heartbeat", text, { qos: 1 });
    await new Promise((resolve) => { setTimeout(resolve, 300); });
    return [...coordinator.got, ...box.got].filter((line) => line.endsWith(text));
  };
  c.strictSame(await echo("before"), ["shardkeep/v1/box/box-1/up/event before", "shardkeep/v1/box/box-1/down/request before"]);
  at("acl", mosquittoAcl({ ...standard, retired: ["box-1"] }));
  child.kill("SIGHUP");
  await new Promise((resolve) => { setTimeout(resolve, 500); });
  c.strictSame(await echo("after"), []);
  await Promise.all([box.client.endAsync(), coordinator.client.endAsync()]);
  c.notMatch(log, /Error/);
  const warnings = new Set(log.match(/Warning: .*/g));
  warnings.delete("Warning: Mosquitto should not be run as root/administrator.");
  const expected = ["coordinator/+", "site/+"].map((shared) => `Warning: ACL pattern 'shardkeep/v1/${shared}' does not contain '%c' or '%u'.`);
  c.same([...warnings], expected, "those that the generator's comment names, no other");
});

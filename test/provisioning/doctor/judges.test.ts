import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { createTlsAuthority, createTlsKeys, issueCertificate } from "../../../agent/mqtt/tls.ts";
import { Concern, Fault } from "../../../provisioning/doctor/check.ts";
import { judgePanel, judgeSensor } from "../../../provisioning/doctor/devices.ts";
import { judgeModule, judgePinFile, judgeTokens } from "../../../provisioning/doctor/hsm.ts";
import { judgeClock, judgeModemManager, judgeNode, judgeSpace, keepsOff, newestIn, tryDisk } from "../../../provisioning/doctor/machine.ts";
import { judgeLine, lineFacts, type LineFacts } from "../../../provisioning/doctor/serial.ts";
import { judgeCertificate, judgeKeyFile } from "../../../provisioning/doctor/tls.ts";
import { holdersOf, runs } from "../../../provisioning/machine/holders.ts";

const folder = mkdtempSync(join(tmpdir(), "shardkeep-doctor-"));
t.teardown(() => { rmSync(folder, { recursive: true, force: true }); });
const at = (name: string): string => join(folder, name);
const mebibyte = 1024 * 1024;
const [spring, day] = [Date.UTC(2026, 3, 1), 86_400_000];

void t.test("the machine", (t) => {
  t.equal(judgeNode("v20.19.0", "arm64"), "Node v20.19.0 on arm64");
  for (const old of ["v18.20.4", "v20.18.9"]) t.throws(() => judgeNode(old, "x64"), { code: "NODE_TOO_OLD", remedy: /Debian 13/ }, old);
  t.ok(judgeNode("v24.0.0", "x64"));
  t.throws(() => judgeNode("v22.1.0", "arm"), { name: "Concern", code: "ARCHITECTURE_UNTRIED" });

  t.match(judgeClock(spring, spring + day / 2), "2026-04-01");
  t.ok(judgeClock(spring, undefined));
  t.throws(() => judgeClock(5000, undefined), { name: "Concern", code: "CLOCK_UNSET", message: /1970/ }, "a Pi without a clock: a warning, no more");
  t.throws(() => judgeClock(spring, spring + 2 * day), { name: "Concern", code: "CLOCK_BEHIND", message: /2026-04-03/ });

  t.ok(judgeSpace(300 * mebibyte, "/x"));
  t.throws(() => judgeSpace(255 * mebibyte, "/x"), { name: "Concern", code: "DISK_LOW" });
  t.throws(() => judgeSpace(31 * mebibyte, "/x"), { name: "Fault", code: "DISK_FULL" });
  t.match(tryDisk(folder), "syncs");
  t.same(newestIn(folder), undefined, "nothing is left of it");
  t.throws(() => tryDisk("/proc/self"), { name: "Fault", code: "DISK_UNWRITABLE" });

  t.ok(judgeModemManager(false, false));
  t.ok(judgeModemManager(true, true));
  t.throws(() => judgeModemManager(true, false), { name: "Concern", code: "MODEM_MANAGER" });
  mkdirSync(at("rules.d"));
  writeFileSync(at("rules.d/77-mm-arduino.rules"), 'ENV{ID_MM_DEVICE_IGNORE}="1"\n');
  t.notOk(keepsOff([at("none"), at("rules.d")]), "somebody else's rule is for somebody else's device");
  writeFileSync(at("rules.d/60-shardkeep.rules"), 'ENV{ID_MM_DEVICE_IGNORE}="1"\n');
  t.ok(keepsOff([at("none"), at("rules.d")]));
  utimesSync(at("rules.d/60-shardkeep.rules"), spring / 1000, spring / 1000);
  rmSync(at("rules.d/77-mm-arduino.rules"));
  t.same(newestIn(at("rules.d")), spring);
  t.end();
});

void t.test("token and PIN, without a try", (t) => {
  const hsm = { token: "box-1", pinFile: at("pin") };
  const one = { label: "box-1", serial: "01", flags: 0x40d };
  t.match(judgeTokens([one, { ...one, label: "box-2" }], hsm), "serial number 01");
  t.throws(() => judgeTokens([{ ...one, label: "box-2" }], hsm), { code: "TOKEN_MISSING", message: /shows box-2/ });
  t.throws(() => judgeTokens([one, { ...one, serial: "02" }], hsm), { code: "TOKEN_AMBIGUOUS" });
  t.match(judgeTokens([one, { ...one, serial: "02" }], { ...hsm, serial: "02" }), "02");
  for (const [flag, made, code] of [[0x40000, Fault, "PIN_LOCKED"], [0x20000, Concern, "PIN_LAST_TRY"], [0x10000, Concern, "PIN_LAST_TRY"]] as const) {
    t.throws(() => judgeTokens([{ ...one, flags: one.flags | flag }], hsm), { name: made.name, code }, flag.toString(16));
  }
  t.throws(() => judgePinFile(hsm.pinFile), { code: "PIN_UNREADABLE", message: /not there/ });
  writeFileSync(hsm.pinFile, "");
  chmodSync(hsm.pinFile, 0o600);
  t.throws(() => judgePinFile(hsm.pinFile), { code: "PIN_UNREADABLE", message: /empty/ });
  writeFileSync(hsm.pinFile, "123456\n");
  t.match(judgePinFile(hsm.pinFile), "mode 600");
  for (const mode of [0o640, 0o604]) {
    chmodSync(hsm.pinFile, mode);
    t.throws(() => judgePinFile(hsm.pinFile), { name: "Fault", code: "PIN_EXPOSED" }, mode.toString(8));
  }
  t.throws(() => judgeModule(at("none.so")), { code: "HSM_CONFIG_INVALID" });
  t.equal(judgeModule("libsofthsm2.so"), "libsofthsm2.so", "a bare name is the loader's to find");
  t.end();
});

void t.test("a serial line, unopened", (t) => {
  const usb: LineFacts = { path: "/dev/sensor", real: "/dev/ttyUSB0", isTty: true, isPty: false, mayOpen: true, holders: [] };
  const idle = { allowEmulated: false, running: false, user: "tech" };
  t.equal(judgeLine(usb, idle), "/dev/ttyUSB0");
  const getty = [{ pid: 7, name: "agetty" }];
  for (const [what, facts, code, said] of [
    ["gone", { real: undefined }, "SERIAL_OPEN_FAILED", /no \/dev\/sensor/], ["no line", { isTty: false }, "SERIAL_OPEN_FAILED", /no serial line/],
    ["emulated", { isPty: true }, "EMULATED_REFUSED", /pseudo/], ["not ours", { mayOpen: false }, "SERIAL_DENIED", /tech may not/], ["busy", { holders: getty }, "SERIAL_BUSY", /agetty \(process 7\)/],
  ] as const) t.throws(() => judgeLine({ ...usb, ...facts }, idle), { code, message: said, remedy: String }, what);
  t.match(judgeLine({ ...usb, holders: getty }, { ...idle, running: true }), /the agent has it/);
  t.match(judgeLine({ ...usb, isPty: true }, { ...idle, allowEmulated: true }), /pseudo-terminal/);
  t.match(lineFacts(at("none")), { real: undefined });
  symlinkSync("/dev/null", at("null"));
  t.match(lineFacts(at("null")), { real: "/dev/null", isTty: false, isPty: false, mayOpen: true });

  mkdirSync(at("proc/12/fd"), { recursive: true });
  mkdirSync(at("proc/13"));
  writeFileSync(at("proc/12/comm"), "agetty\n");
  symlinkSync("/dev/null", at("proc/12/fd/3"));
  t.same(holdersOf("/dev/null", at("proc")), [{ pid: 12, name: "agetty" }]);
  t.same(holdersOf("/dev/zero", at("proc")), []);
  t.same([runs("agetty", at("proc")), runs("ModemManager", at("proc"))], [true, false]);
  t.end();
});

void t.test("what sensor and panel said", (t) => {
  t.equal(judgeSensor({ state: "ready", emulated: true, model: "R503", templates: 2 }), "R503, 2 fingers (emulated: it measures nothing)");
  t.throws(() => judgeSensor({ state: "unpaired", emulated: false }), { name: "Concern", code: "SENSOR_UNPAIRED" });
  t.throws(() => judgeSensor({ state: "foreign", emulated: false, detail: "SENSOR_FOREIGN: not ours" }), { code: "SENSOR_FOREIGN", message: "not ours" });
  t.throws(() => judgeSensor({ state: "absent", emulated: false }), { code: "SENSOR_ABSENT" });
  t.equal(judgePanel({ state: "ready", emulated: false, firmware: "panel 1", tamper: { open: true, latched: true, damaged: false, counter: 1, unwatched: null } }), "panel 1, LID OPEN");
  t.throws(() => judgePanel({ state: "absent", emulated: false, detail: "DEVICE_NOT_FOUND: nothing answers" }), { code: "DEVICE_NOT_FOUND" });
  t.end();
});

void t.test("certificates", async (t) => {
  const [authority, other] = [await createTlsAuthority("plant"), await createTlsAuthority("plant")];
  const [keys, others] = [await createTlsKeys(), await createTlsKeys()];
  const cert = await issueCertificate(authority, "box-1", keys.publicKey);
  const files = { ca: authority.certificate, cert, key: keys.privateKey };
  t.match(judgeCertificate(files, "box-1", spring), "good as long as the site record names it");
  for (const [what, change, said] of [
    ["another key", { key: others.privateKey }, /private key beside it/], ["another authority", { ca: other.certificate }, /authority beside it/], ["no certificate", { cert: "x" }, /cannot be read/],
  ] as const) t.throws(() => judgeCertificate({ ...files, ...change }, "box-1", spring), { code: "TLS_INVALID", message: said, remedy: String }, what);
  t.throws(() => judgeCertificate(files, "box-2", spring), { code: "TLS_INVALID", message: /names CN=box-1/ });
  await t.test("of another authority, which has an end", async (t) => {
    const { X509CertificateGenerator } = await import("@peculiar/x509");
    const ends = (await import("node:crypto")).webcrypto;
    const pair = await ends.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
    const made = await X509CertificateGenerator.createSelfSigned({ name: "CN=box-1", serialNumber: "01", notBefore: new Date(spring - day), notAfter: new Date(spring + 40 * day), keys: pair, signingAlgorithm: { name: "ECDSA", hash: "SHA-256" } });
    const key = (await import("node:crypto")).KeyObject.from(pair.privateKey).export({ format: "pem", type: "pkcs8" }).toString();
    const own = { ca: made.toString("pem"), cert: made.toString("pem"), key };
    t.match(judgeCertificate(own, "box-1", spring), "40 days left");
    t.throws(() => judgeCertificate(own, "box-1", spring + 11 * day), { name: "Concern", code: "CERTIFICATE_EXPIRES" });
    t.throws(() => judgeCertificate(own, "box-1", spring + 42 * day), { name: "Fault", code: "CERTIFICATE_EXPIRED" });
  });
  writeFileSync(at("key.pem"), keys.privateKey, { mode: 0o600 });
  judgeKeyFile(at("key.pem"));
  chmodSync(at("key.pem"), 0o644);
  t.throws(() => { judgeKeyFile(at("key.pem")); }, { code: "KEY_FILE_EXPOSED" });
});

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { root } from "#paths";

const shipped = (name: string): string => join(root, "systemd", name);
const textOf = (name: string): string => readFileSync(shipped(name), "utf8");
const units = ["shardkeep-agent@.service", "shardkeep-coordinator@.service"];

const folder = mkdtempSync(join(tmpdir(), "shardkeep-systemd-"));
t.teardown(() => { rmSync(folder, { recursive: true, force: true }); });

const run = (file: string, ...args: string[]) => spawnSync(file, args, { encoding: "utf8" });
const analyze = run("systemd-analyze", "--version");
const version = Number(/^systemd (\d+)/.exec(analyze.stdout)?.[1] ?? 0);
const skip = version >= 252 ? false : "systemd-analyze of 252 or later is missing: apt-get install systemd";

/** As an instance, with a program that is there; before 254 without the two keys that came with it. */
function instance(name: string, text: string): string {
  const file = join(folder, name.replace("@", "@plant"));
  const known = version >= 254 ? text : text.replace(/^Restart(?:Steps|MaxDelaySec)=.*\n/gm, "");
  writeFileSync(file, known.replace("/usr/bin/shardkeep ", "/bin/true "));
  return file;
}

void t.test("systemd knows every line of the units", { skip }, (t) => {
  for (const unit of units) t.match(run("systemd-analyze", "verify", "--man=no", "--recursive-errors=yes", instance(unit, textOf(unit))), { status: 0, stderr: "" }, unit);
  const wrong = instance("wrong@.service", textOf(units[0]!).replace("KillMode=", "KilMode="));
  t.not(run("systemd-analyze", "verify", "--man=no", "--recursive-errors=yes", wrong).status, 0, "a line that it does not know is told");
  t.end();
});

void t.test("what the units may do to the machine: at most 1.8 of 10", { skip }, (t) => {
  for (const unit of units) t.equal(run("systemd-analyze", "security", "--offline=yes", "--threshold=18", instance(unit, textOf(unit))).status, 0, unit);
  t.end();
});

void t.test("Debian's Mosquitto under the drop-in: likewise", { skip }, (t) => {
  const own = "/lib/systemd/system/mosquitto.service";
  const unit = existsSync(own) ? readFileSync(own, "utf8") : "[Service]\nType=notify\nExecStart=/bin/true\n";
  const file = instance("mosquitto.service", `${unit}\n${textOf("mosquitto/hardening.conf")}`);
  t.match(run("systemd-analyze", "verify", "--man=no", "--recursive-errors=yes", file), { status: 0, stderr: "" });
  t.equal(run("systemd-analyze", "security", "--offline=yes", "--threshold=18", file).status, 0);
  t.end();
});

void t.test("what the agent and its operator rely on", (t) => {
  for (const unit of units) {
    const lines = textOf(unit).split("\n");
    for (const line of [
      "Type=notify", "NotifyAccess=all", "KillMode=mixed", "Restart=on-failure", "RestartPreventExitStatus=78", "StartLimitIntervalSec=0", "User=shardkeep", "LimitCORE=0", "UMask=0077",
      "LoadCredentialEncrypted=shardkeep-pin:shardkeep-%i.pin", "SystemCallFilter=capset",
    ]) t.ok(lines.includes(line), `${unit}: ${line}`);
  }
  for (const device of ["ttyUSB", "ttyACM", "ttyAMA"]) t.match(textOf(units[0]!), `DeviceAllow=char-${device} rw\n`);
  t.end();
});

void t.test("the user and the folders", { skip: process.getuid?.() === 0 ? skip : "giving files to a user needs root" }, (t) => {
  mkdirSync(join(folder, "etc"));
  t.match(run("systemd-sysusers", `--root=${folder}`, shipped("shardkeep.sysusers")), { status: 0 });
  t.match(readFileSync(join(folder, "etc/passwd"), "utf8"), /^shardkeep:[^\n]*\/nologin$/m);
  t.match(run("systemd-tmpfiles", `--root=${folder}`, "--create", shipped("shardkeep.tmpfiles")), { status: 0 });
  for (const [path, mode] of [["etc/shardkeep", 0o750], ["var/lib/shardkeep", 0o700], ["etc/credstore.encrypted", 0o700]] as const) t.equal(statSync(join(folder, path)).mode & 0o777, mode, path);
  t.end();
});

/** The rules of the template, as somebody who uses all of them has them. */
const rules = textOf("udev/90-shardkeep.rules").replace(/^#(?=SUBSYSTEM)/gm, "");

void t.test("the udev rules: well formed, and off until somebody has put values in", (t) => {
  const used = rules.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  t.ok(used.length >= 5);
  for (const line of used) {
    t.match(line, /^[A-Z]+(?:\{\w+\})?(?:==|\+=|=)"[^"]+"(?:, [A-Z]+(?:\{\w+\})?(?:==|\+=|=)"[^"]+")*$/);
    t.match(line, /^SUBSYSTEM=="tty", .*SYMLINK\+="shardkeep-(?:sensor|panel)", GROUP="dialout", MODE="0660", ENV\{ID_MM_DEVICE_IGNORE\}="1"$/);
  }
  t.notMatch(textOf("udev/90-shardkeep.rules"), /^[^#\n]/m);
  t.end();
});

const udev = run("udevadm", "verify", "--help").status === 0;
void t.test("udev reads them", { skip: udev ? false : "there is no udevadm verify (udev 254): apt-get install udev" }, (t) => {
  writeFileSync(join(folder, "90-shardkeep.rules"), rules);
  t.equal(run("udevadm", "verify", "--resolve-names=never", join(folder, "90-shardkeep.rules")).status, 0);
  t.end();
});

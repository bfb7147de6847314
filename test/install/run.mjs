import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/*
 * npm run test:install: the package in a Debian 13 with its own Node, booted with systemd as process 1: installed, a
 * coordinator and three boxes as units, by the commands of the field guide; watchdog, restarts, a key and a file, power
 * that goes while a box joins and in a re-shard, upgrade, removal. Needs root, debootstrap and systemd-nspawn.
 */
const project = join(import.meta.dirname, "../..");
const folder = join(project, ".cache/install");
const packages = ["systemd", "systemd-sysv", "dbus", "udev", "util-linux", "ca-certificates", "nodejs", "softhsm2", "mosquitto"];
const bootMs = 480_000;

function must(file, args, options = {}) {
  const done = spawnSync(file, args, { stdio: ["ignore", "inherit", "inherit"], ...options });
  if (done.status !== 0) throw new Error(`${file} ${args.join(" ")} ended with ${done.error?.message ?? done.signal ?? `exit ${done.status}`}`);
}

/** Debian 13 with what the package depends on, made once. */
function base() {
  const tar = join(folder, "trixie.tar");
  if (existsSync(tar)) return tar;
  const work = mkdtempSync(join(folder, "debootstrap-"));
  must("debootstrap", ["--variant=minbase", `--include=${packages.join(",")}`, "trixie", work]);
  must("tar", ["-C", work, "-cf", `${tar}.partial`, "."]);
  renameSync(`${tar}.partial`, tar);
  rmSync(work, { recursive: true });
  return tar;
}

/** The sh blocks of the field guide, a file for each of its sections. */
function guide(to) {
  mkdirSync(to);
  for (const section of readFileSync(join(project, "docs/field-guide.md"), "utf8").split(/^## /m).slice(1)) {
    const blocks = [...section.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, block]) => block);
    const [title] = section.split("\n");
    if (blocks.length > 0) writeFileSync(join(to, title.toLowerCase().replaceAll(" ", "-")), blocks.join(""));
  }
}

/** Runs the probe when the system is up; it switches the system off. */
const unit = "[Unit]\nAfter=multi-user.target\n[Service]\nType=exec\nExecStart=/bin/bash /out/probe.sh\n[Install]\nWantedBy=default.target\n";
/** Without a fresh /run in a name space of its own nspawn does not boot here (platform.md §6). */
const boot = 'mount -t tmpfs tmpfs /run && mkdir -p /run/systemd && exec "$@"';

function run(root, out) {
  mkdirSync(out);
  const arch = spawnSync("dpkg", ["--print-architecture"], { encoding: "utf8" }).stdout.trim();
  must(process.execPath, [join(project, "provisioning/package/main.mjs"), "--arch", arch, "--out", out]);
  guide(join(out, "guide"));
  cpSync(join(import.meta.dirname, "probe.sh"), join(out, "probe.sh"));
  writeFileSync(join(root, "etc/systemd/system/probe.service"), unit);
  must("systemctl", [`--root=${root}`, "enable", "probe.service"]);
  // As process 1 of a name space of its own: what is late is ended with all that it has started.
  spawnSync("unshare", [
    "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc", "--", "sh", "-c", boot, "sh",
    "systemd-nspawn", "--quiet", `--directory=${root}`, "--register=no", "--keep-unit", "--private-network", "--console=pipe", `--bind=${out}:/out`, `--bind-ro=${project}:/opt/shardkeep`, "--boot",
  ], { stdio: "ignore", timeout: bootMs, killSignal: "SIGKILL" });
  return existsSync(join(out, "result")) ? readFileSync(join(out, "result"), "utf8").trim().split("\n") : [];
}

const missing = [
  ...(process.getuid() === 0 ? [] : ["root"]),
  ...["debootstrap", "systemd-nspawn"].filter((tool) => spawnSync(tool, ["--version"]).error !== undefined),
];
if (missing.length > 0) {
  process.stdout.write(`skipped: needs ${missing.join(", ")} (apt-get install debootstrap systemd-container)\n`);
} else {
  mkdirSync(folder, { recursive: true });
  const tar = base();
  const work = mkdtempSync(join(folder, "run-"));
  const root = join(work, "root");
  mkdirSync(root);
  must("tar", ["-C", root, "-xf", tar]);
  chmodSync(root, 0o755); // mkdtemp's, which is in the tar, is for its owner alone
  const lines = run(root, join(work, "out"));
  for (const line of lines) process.stdout.write(`${line}\n`);
  const failed = lines.filter((line) => line.startsWith("FAILED")).length;
  const whole = lines.at(-1) === "end";
  process.stdout.write(`${lines.filter((line) => line.startsWith("ok")).length} passed, ${failed} failed${whole ? "" : ", and it did not come to its end"}\n`);
  process.exitCode = whole && failed === 0 ? 0 : 1;
  if (process.exitCode === 0) rmSync(work, { recursive: true });
  else process.stdout.write(`left for you: ${join(work, "out")}\n`);
}

import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { findFakeTime, findMosquitto, findSoftHsm, unpacked } from "./paths.mjs";
import { SetupError, unavailable } from "./steps.mjs";

/** What comes from Debian. `build` marks what only the compiling of the native module needs, `test` what only a test does. */
const requirements = [
  { package: "softhsm2", found: () => findSoftHsm() !== null },
  { package: "mosquitto", found: () => findMosquitto() !== null },
  { package: "util-linux", found: () => ["flock", "prlimit", "setpriv"].every(onPath) },
  { package: "perl-base", found: () => onPath("perl") },
  { package: "libfaketime", test: true, found: () => findFakeTime() !== null },
  { package: "g++", build: true, found: () => onPath("g++") },
  { package: "make", build: true, found: () => onPath("make") },
  { package: "python3", build: true, found: () => onPath("python3") },
];

export function onPath(name) {
  return (process.env.PATH ?? "").split(":").some((folder) => existsSync(join(folder, name)));
}

/** How this user runs a program as root: [] is root already, null is not at all. */
function asRoot() {
  if (process.getuid() === 0) return [];
  const sudo = spawnSync("sudo", ["-n", "true"], { stdio: "ignore" });
  return sudo.status === 0 ? ["sudo", "-n"] : null;
}

export const machine = { osRelease: "/etc/os-release", asRoot, requirements, unpacked };

/** The step that brings Debian's packages: by apt as root, or the run-time ones unpacked into .cache/. */
export function debianStep(compiles, { osRelease, asRoot, requirements, unpacked } = machine, forTests = true) {
  const wanted = requirements.filter((one) => forTests || one.test !== true);
  const missing = (build) => wanted.filter((one) => (one.build ?? false) === build && !one.found()).map((one) => one.package);
  const toBuild = () => (compiles() ? missing(true) : []);
  return {
    name: "debian",
    needed: () => missing(false).length + toBuild().length > 0,
    run: (command) => {
      const all = [...missing(false), ...toBuild()];
      if (!isDebian(osRelease)) {
        throw new SetupError(`this is not a Debian system: install what Debian calls ${all.join(", ")}, then run this again`, unavailable);
      }
      const root = asRoot();
      if (root !== null) {
        install(all, root, command);
      } else if (toBuild().length > 0) {
        throw new SetupError(`a compiler is missing and needs root; ask for:\n  apt-get install -y --no-install-recommends ${toBuild().join(" ")}`, unavailable);
      } else {
        unpack(missing(false), unpacked, command);
      }
      const still = [...missing(false), ...toBuild()];
      if (still.length > 0) throw new SetupError(`apt ended well, but these are not where Debian has them: ${still.join(", ")}`, unavailable);
    },
  };
}

function isDebian(osRelease) {
  if (!existsSync(osRelease)) return false;
  const ids = /^ID(?:_LIKE)?=(.*)$/gm;
  return [...readFileSync(osRelease, "utf8").matchAll(ids)].some(([, value]) => value.replaceAll('"', "").split(" ").includes("debian"));
}

function install(packages, root, command) {
  const [file, ...args] = [...root, "env", "DEBIAN_FRONTEND=noninteractive"];
  // A set-up that was killed may have left dpkg half way; it then refuses all until this.
  command(file, [...args, "dpkg", "--configure", "-a"]);
  update(() => { command(file, [...args, "apt-get", "-q", "update"]); });
  command(file, [...args, "apt-get", "-q", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=600", "install", ...packages]);
}

/** apt with lists and archives of its own resolves and downloads as any user; the rename comes last. */
function unpack(packages, unpacked, command) {
  const apt = `${unpacked}.apt`;
  const archives = join(apt, "archives");
  const partial = `${unpacked}.partial`;
  for (const folder of [archives, partial]) rmSync(folder, { recursive: true, force: true });
  // What an earlier run unpacked stays: only what is missing now is asked for.
  if (existsSync(unpacked)) cpSync(unpacked, partial, { recursive: true, verbatimSymlinks: true });
  for (const folder of [join(apt, "lists/partial"), join(archives, "partial"), partial]) mkdirSync(folder, { recursive: true });
  const own = ["-q", "-o", "Debug::NoLocking=1", "-o", `Dir::State::Lists=${join(apt, "lists")}`, "-o", `Dir::Cache=${apt}`];
  update(() => { command("apt-get", [...own, "update"]); });
  command("apt-get", [...own, "-y", "--no-install-recommends", "--download-only", "install", ...packages]);
  for (const name of readdirSync(archives).filter((entry) => entry.endsWith(".deb"))) {
    command("dpkg-deb", ["-x", join(archives, name), partial]);
  }
  rmSync(unpacked, { recursive: true, force: true });
  renameSync(partial, unpacked);
  rmSync(apt, { recursive: true });
}

/** One source that does not answer makes the whole update fail; whether it mattered, the install tells. */
function update(run) {
  try {
    run();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
  }
}

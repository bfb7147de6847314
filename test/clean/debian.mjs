import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

/** Runs a program, shown as it goes; throws unless it ends with exit 0. */
function must(file, ...args) {
  const done = spawnSync(file, args, { stdio: ["ignore", "inherit", "inherit"] });
  if (done.status !== 0) throw new Error(`${file} ${args.join(" ")} ended with ${done.error?.message ?? done.signal ?? `exit ${done.status}`}`);
}

/** A tar of Debian 12 with git and nothing else, made once and kept in `folder`. */
function base(folder) {
  const tar = join(folder, "bookworm.tar");
  if (existsSync(tar)) return tar;
  if (spawnSync("debootstrap", ["--version"]).error !== undefined) {
    must("apt-get", "-q", "update");
    must("apt-get", "-q", "-y", "--no-install-recommends", "install", "debootstrap");
  }
  const work = mkdtempSync(join(folder, "debootstrap-"));
  must("debootstrap", "--variant=minbase", "--include=git,ca-certificates", "bookworm", work);
  must("tar", "-C", work, "-cf", `${tar}.partial`, ".");
  renameSync(`${tar}.partial`, tar);
  rmSync(work, { recursive: true });
  return tar;
}

/**
 * A fresh Debian root in `folder`, with this machine's Node (Debian 12's own is 18, too old) and this
 * machine's way to the registries.
 */
export function freshRoot(folder) {
  mkdirSync(folder, { recursive: true });
  const tar = base(folder);
  const root = mkdtempSync(join(folder, "root-"));
  must("tar", "-C", root, "-xf", tar);
  chmodSync(root, 0o755); // mkdtemp's is for its owner alone
  addNode(root);
  addRegistries(root);
  return root;
}

function addNode(root) {
  const prefix = dirname(dirname(process.execPath));
  cpSync(process.execPath, join(root, "usr/bin/node"));
  for (const part of ["lib/node_modules/npm", "include/node"]) {
    cpSync(join(prefix, part), join(root, "usr", part), { recursive: true, verbatimSymlinks: true });
  }
  for (const name of ["npm", "npx"]) symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, join(root, `usr/bin/${name}`));
}

function addRegistries(root) {
  rmSync(join(root, "etc/apt"), { recursive: true });
  const prefix = dirname(dirname(process.execPath));
  const files = ["/etc/apt", "/usr/share/keyrings", "/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt", join(prefix, "etc/npmrc")];
  for (const file of files.filter((name) => existsSync(name))) {
    cpSync(file, join(root, file.replace(prefix, "/usr")), { recursive: true, dereference: true });
  }
  const npmrc = join(homedir(), ".npmrc");
  if (!existsSync(npmrc)) return;
  // Without its nodedir: to find the headers is set-up's work.
  const text = readFileSync(npmrc, "utf8").replace(/^nodedir=.*$/m, "");
  writeFileSync(join(root, "root/.npmrc"), text, { mode: 0o600 });
}

const passedOn = ["http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "NODE_EXTRA_CA_CERTS"];

/** The mounts live in a name space of their own and end with it: deleting the root cannot reach the host's /dev. */
const enter = 'mount --rbind /dev "$1/dev" && mount -t proc proc "$1/proc" && shift && exec chroot "$@"';

/** Runs a shell command in `root` as `user`; returns its exit code. */
export function inside(root, user, command) {
  const env = Object.fromEntries([
    ...passedOn.filter((name) => process.env[name] !== undefined).map((name) => [name, process.env[name]]),
    ["PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], ["HOME", user.home], ["LANG", "C.UTF-8"], ["CI", "true"],
  ]);
  const done = spawnSync("unshare", [
    "--mount", "--pid", "--fork", "--kill-child", "--",
    "sh", "-c", enter, "sh", root, `--userspec=${user.id}:${user.id}`, "--groups=", root, "sh", "-c", command,
  ], { env, stdio: ["ignore", "inherit", "inherit"] });
  return done.status ?? 1;
}

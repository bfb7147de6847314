import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { cache, root } from "../setup/paths.mjs";
import { SetupError } from "../setup/steps.mjs";
import { control, copyright, postinst, postrm, preinst, prerm } from "./control.mjs";
import { architectures, crossBuilt } from "./native.mjs";
import { readText, Tree } from "./tree.mjs";
import { vendor } from "./vendor.mjs";

/*
 * node provisioning/package/main.mjs [--arch amd64|arm64] [--out FOLDER]
 *
 * Makes shardkeep_VERSION_ARCH.deb of what was built: what package.json's `files` name, the packages of npm that it needs,
 * units and documents. For this machine's architecture, and from amd64 for arm64 too where its compiler can be had.
 * With dpkg-deb alone; the same sources give the same bytes.
 */
const home = "usr/lib/shardkeep";
const doc = "usr/share/doc/shardkeep";
const share = "usr/share/shardkeep";
const units = "usr/lib/systemd/system";

/** Where a file of the npm package goes; undefined: not into this one. */
function placeOf(file) {
  if (/\.d\.m?ts$/.test(file) || file === "LICENSE" || (file.startsWith("firmware-bridge/firmware/") && !file.endsWith(".hex"))) return undefined;
  if (file === "README.md" || file.startsWith("docs/")) return `${doc}/${file}`;
  if (!file.startsWith("systemd/") && !file.startsWith("firmware-bridge/")) return `${home}/${file}`;
  const name = file.slice(file.lastIndexOf("/") + 1);
  if (name.endsWith("@.service")) return `${units}/${name}`;
  if (name.endsWith(".example")) return `etc/shardkeep/${name}`;
  if (name === "shardkeep.sysusers") return "usr/lib/sysusers.d/shardkeep.conf";
  if (name === "shardkeep.tmpfiles") return "usr/lib/tmpfiles.d/shardkeep.conf";
  return file.startsWith("systemd/mosquitto/") ? `${share}/mosquitto/${name}` : `${share}/${name}`;
}

const run = (file, ...args) => execFileSync(file, args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });

/** SOURCE_DATE_EPOCH (reproducible-builds.org), else the last commit. */
function sourceDate() {
  const given = process.env.SOURCE_DATE_EPOCH;
  if (given !== undefined) return Number(given);
  const { stdout, status } = spawnSync("git", ["log", "-1", "--format=%ct"], { cwd: root, encoding: "utf8" });
  return status === 0 ? Number(stdout) : 0;
}

function build(arch, native, out) {
  mkdirSync(cache, { recursive: true });
  const top = mkdtempSync(join(cache, "package-"));
  try {
    pack(new Tree(top), arch, native, out);
  } finally {
    rmSync(top, { recursive: true });
  }
}

function pack(tree, arch, native, out) {
  const { version } = JSON.parse(readText(root, "package.json"));
  const [{ files }] = JSON.parse(run("npm", "pack", "--dry-run", "--json", "--silent", "--ignore-scripts"));
  for (const { path } of files) {
    const place = placeOf(path);
    if (place !== undefined) tree.copy(join(root, path), place, path === "dist/provisioning/main.js" ? 0o755 : 0o644);
  }
  tree.link("../lib/shardkeep/dist/provisioning/main.js", "usr/bin/shardkeep");
  const vendored = vendor(root, tree, home, architectures[arch].node, native);
  tree.write(`${doc}/copyright`, copyright(vendored));
  tree.write(`${doc}/changelog.gz`, gzipSync(readText(root, "CHANGELOG.md"), { level: 9 }));
  const shipped = tree.files();
  tree.write("DEBIAN/control", control({ version, arch, kilobytes: Math.ceil(tree.bytes() / 1024) }));
  tree.write("DEBIAN/conffiles", shipped.filter((file) => file.startsWith("etc/")).map((file) => `/${file}\n`).join(""));
  tree.write("DEBIAN/md5sums", shipped.filter((file) => file !== "usr/bin/shardkeep")
    .map((file) => `${createHash("md5").update(readFileSync(join(tree.top, file))).digest("hex")}  ${file}\n`).join(""));
  for (const [name, text] of Object.entries({ preinst, postinst, prerm, postrm })) tree.write(`DEBIAN/${name}`, text, 0o755);
  const date = sourceDate();
  tree.date(date);
  mkdirSync(out, { recursive: true });
  const file = join(out, `shardkeep_${version}_${arch}.deb`);
  execFileSync("dpkg-deb", ["-Zzstd", "--root-owner-group", "--build", tree.top, file], { env: { ...process.env, SOURCE_DATE_EPOCH: String(date) }, stdio: ["ignore", "ignore", "inherit"] });
  process.stdout.write(`${file}\n`);
}

function say(text) {
  process.stderr.write(`package: ${text}\n`);
}

try {
  const { values: { arch, out = join(cache, "deb") } } = parseArgs({ options: { arch: { type: "string" }, out: { type: "string" } } });
  if (arch !== undefined && !(arch in architectures)) throw new SetupError(`--arch: one of ${Object.keys(architectures).join(", ")}`, 64);
  const own = run("dpkg", "--print-architecture").trim();
  for (const one of arch === undefined ? [...new Set([own, ...(own === "amd64" ? ["arm64"] : [])])] : [arch]) {
    try {
      build(one, one === own ? join(root, "node_modules/pkcs11js/build/Release/pkcs11.node") : crossBuilt(root, one, say), resolve(out));
    } catch (error) {
      // Not asked for by name: what this machine cannot do is only told.
      if (!(error instanceof SetupError) || arch !== undefined || one === own) throw error;
      say(`no package for ${one}: ${error.message}`);
    }
  }
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  say(error.message);
  process.exitCode = error.exitCode;
}

import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, lstatSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { z } from "zod";
import { root } from "#paths";
import { boxConfig } from "../../agent/box/config.ts";
import { coordinatorConfig } from "../../agent/coordinator/config.ts";
import { parseYaml } from "../../agent/runtime/config.ts";
import { version } from "../../agent/runtime/version.ts";
import { environment, place, withoutSoftHsm } from "./support.ts";
import "../support/plain-children.ts";

const folder = mkdtempSync(join(tmpdir(), "shardkeep-deb-"));
t.teardown(() => { rmSync(folder, { recursive: true, force: true }); });
const arch = { x64: "amd64", arm64: "arm64" }[process.arch as string] ?? "";
const skip = arch !== "" && spawnSync("dpkg-deb", ["--version"]).error === undefined ? false : "no Debian of an architecture that there is a package for";

/** Builds it from what is compiled, as `npm run package` does after its set-up. */
function build(out: string): string {
  execFileSync(process.execPath, ["provisioning/package/main.mjs", "--arch", arch, "--out", join(folder, out)], { cwd: root, env: environment({ SOURCE_DATE_EPOCH: "1700000000" }) });
  return join(folder, out, `shardkeep_${version}_${arch}.deb`);
}
const at = (...path: string[]): string => join(folder, "root", ...path);
const deb = skip === false ? build("one") : "";
if (skip === false) {
  execFileSync("dpkg-deb", ["-x", deb, at()]);
  execFileSync("dpkg-deb", ["-e", deb, join(folder, "control")]);
}
const control = (name: string): string => readFileSync(join(folder, "control", name), "utf8");
const files = skip === false ? readdirSync(at(), { recursive: true, encoding: "utf8" }).filter((name) => !lstatSync(at(name)).isDirectory()) : [];
const home = "usr/lib/shardkeep";
const own = (...args: string[]) => spawnSync(at("usr/bin/shardkeep"), args, { encoding: "utf8", env: environment({}), cwd: folder });

void t.test("the same sources are the same bytes", { skip }, (t) => {
  t.ok(readFileSync(deb).equals(readFileSync(build("two"))));
  t.end();
});

void t.test("what it needs, and what it says to a Debian whose Node is too old", { skip }, (t) => {
  t.match(control("control"), new RegExp(`^Package: shardkeep\nVersion: ${version}\nArchitecture: ${arch}\n`));
  t.match(control("control"), /^Depends: nodejs \(>= 20\.19\), .*util-linux/m);
  t.match(control("control"), /^ Shardkeep needs Node 20\.19[^]*Debian 12[^]*NodeSource/m);
  const bin = mkdtempSync(join(folder, "bin-"));
  writeFileSync(join(bin, "node"), "#!/bin/sh\necho v18.20.4\n", { mode: 0o755 });
  const told = spawnSync("sh", [join(folder, "control/preinst"), "install"], { encoding: "utf8", env: { PATH: `${bin}:/usr/sbin:/usr/bin:/sbin:/bin` } });
  t.match(told, { status: 0, stderr: /Debian 12 has Node 18: install Node 20 or later there first/ });
  writeFileSync(join(bin, "node"), "#!/bin/sh\necho v20.19.2\n", { mode: 0o755 });
  t.equal(spawnSync("sh", [join(folder, "control/preinst"), "install"], { encoding: "utf8", env: { PATH: `${bin}:/usr/sbin:/usr/bin:/sbin:/bin` } }).stderr, "");
  t.end();
});

void t.test("its files: what runs, for this architecture, and no more", { skip }, (t) => {
  for (const path of [
    "usr/bin/shardkeep", `${home}/package.json`, `${home}/dist/agent/box/main.js`, "usr/lib/systemd/system/shardkeep-agent@.service", "usr/lib/systemd/system/shardkeep-coordinator@.service",
    "usr/lib/sysusers.d/shardkeep.conf", "usr/lib/tmpfiles.d/shardkeep.conf", "usr/share/shardkeep/90-shardkeep.rules", "usr/share/shardkeep/panel.hex", "usr/share/shardkeep/mosquitto/hardening.conf",
    "usr/share/doc/shardkeep/copyright", "usr/share/doc/shardkeep/changelog.gz", "usr/share/doc/shardkeep/docs/field-guide.md", "etc/shardkeep/box.yaml.example",
  ]) t.ok(files.includes(path), path);
  t.same(files.filter((name) => name.startsWith(home) && (/\/(?:emulators|demo)\//.test(name.slice(0, name.indexOf("node_modules"))) || /\.(?:map|ts|c|cpp|h)$/.test(name))), [], "no emulator, demo, source, type or map");
  const natives = files.filter((name) => name.endsWith(".node"));
  t.same(natives.map((name) => name.split("node_modules/")[1]?.split("/build/")[0]?.split("/prebuilds/")[0]).sort(), ["@serialport/bindings-cpp", "classic-level", "pkcs11js"]);
  const [low, high] = arch === "amd64" ? [0x3e, 0] : [0xb7, 0];
  for (const name of natives) t.same([...readFileSync(at(name)).subarray(18, 20)], [low, high], `${name}: the machine in its ELF header`);
  t.match(execFileSync("dpkg-deb", ["--contents", deb], { encoding: "utf8" }).split("\n").filter((line) => line !== "" && !/^[d-]rw[x-]r-[x-]r-[x-] root\/root|^lrwxrwxrwx root\/root/.test(line)), []);
  t.equal(control("conffiles"), "/etc/shardkeep/box.yaml.example\n/etc/shardkeep/coordinator.yaml.example\n");
  t.match(control("md5sums"), / {2}etc\/shardkeep\/box\.yaml\.example\n/);
  t.end();
});

void t.test("every package in it stands in its copyright file, with its licence", { skip }, (t) => {
  const copyright = readFileSync(at("usr/share/doc/shardkeep/copyright"), "utf8");
  const named = z.object({ name: z.string(), version: z.string() });
  const vendored = files.filter((name) => /(?:^|\/)node_modules\/(?:@[^/]+\/)?[^/]+\/package\.json$/.test(name)).map((name) => named.parse(JSON.parse(readFileSync(at(name), "utf8"))));
  t.ok(vendored.length > 80);
  for (const { name } of vendored) if (name !== "nanotimer") t.match(copyright, new RegExp(`^-{80}\n${name.replaceAll("/", "\\/")} \\S+\nlicence: \\S+`, "m"), name);
  t.match(copyright, /common-licenses\/Apache-2\.0/);
  t.notMatch(copyright, /^nanotimer /m, "what has no licence is not given on");
  t.end();
});

void t.test("a package without a licence ends the build", (t) => {
  const at = t.testdir({ "package-lock.json": JSON.stringify({ packages: { "": {}, "node_modules/bare": { version: "1.0.0" } } }), node_modules: { bare: { "package.json": '{"name":"bare","version":"1.0.0"}' } } });
  const script = ["vendor", "tree"].map((name) => `const { ${name === "tree" ? "Tree" : name} } = await import(${JSON.stringify(join(root, "provisioning/package", `${name}.mjs`))});`).join("");
  const ended = spawnSync(process.execPath, ["--input-type=module", "-e", `${script}vendor(${JSON.stringify(at)}, new Tree(${JSON.stringify(join(at, "to"))}), "lib", "x64", "")`], { encoding: "utf8", env: environment({}) });
  t.match(ended, { status: 1, stderr: /bare 1\.0\.0 has no licence/ });
  t.end();
});

void t.test("the examples are configurations", { skip }, (t) => {
  const example = (name: string): string => readFileSync(at("etc/shardkeep", name), "utf8");
  t.equal(parseYaml(example("box.yaml.example"), boxConfig, "box").state, "/var/lib/shardkeep/box-1");
  t.equal(parseYaml(example("coordinator.yaml.example"), coordinatorConfig, "coordinator").state, "/var/lib/shardkeep/plant");
  t.end();
});

void t.test("it runs from where it was unpacked, with its own packages", { skip: skip === false ? withoutSoftHsm : skip }, (t) => {
  t.match(own("--help"), { status: 0, stdout: /^Usage: shardkeep/ });
  t.match(own("agent", "--config", "missing.yaml"), { status: 78, stderr: /CONFIG_UNREADABLE/ });
  const here = place(t);
  const made = own("site", "init", "--config", here.coordinator());
  t.equal(made.status, 0, made.stderr);
  t.ok(existsSync(here.at("coordinator", "store")), "PKCS#11, store and TLS are really there");
  const bridge = spawnSync(process.execPath, [at(home, "dist/firmware-bridge/main.js")], { encoding: "utf8", env: environment({}) });
  t.match(bridge, { status: 78, stdout: /bad configuration/ }, "the serial lines too");
  const panel = spawnSync(process.execPath, ["-e", `import(${JSON.stringify(at(home, "dist/firmware-bridge/panel/panel.js"))}).then(() => console.log("loaded"))`], { encoding: "utf8", env: environment({}) });
  t.match(panel, { status: 0, stdout: "loaded\n" }, "Johnny-Five, without what has no licence");
  t.ok(statSync(at(home, "dist/provisioning/main.js")).mode & 0o100);
  t.end();
});

void t.test("its scripts are shell, ask nothing and delete no key", { skip }, (t) => {
  for (const name of ["preinst", "postinst", "prerm", "postrm"]) {
    t.equal(spawnSync("sh", ["-n", join(folder, "control", name)]).status, 0, name);
    t.notMatch(control(name).replace(/^.*<<'END'\n[^]*?^END$/gm, ""), /debconf|rm -r|deluser|read /, name);
  }
  t.end();
});

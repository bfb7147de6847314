import { execFileSync, spawnSync, type SpawnSyncReturns } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { root } from "#paths";

/** What `npm publish` would send, unpacked, with this project's packages beside it. */
const folder = mkdtempSync(join(tmpdir(), "shardkeep-package-"));
t.teardown(() => { rmSync(folder, { recursive: true, force: true }); });
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => name !== "NODE_OPTIONS" && !name.startsWith("npm_")));
execFileSync("npm", ["pack", "--silent", "--pack-destination", folder], { cwd: root, env });
execFileSync("tar", ["-C", folder, "-xf", join(folder, readdirSync(folder)[0] ?? "")]);
const at = join(folder, "package");
symlinkSync(join(root, "node_modules"), join(at, "node_modules"));
const node = (...args: string[]): SpawnSyncReturns<string> => spawnSync(process.execPath, args, { cwd: at, env, encoding: "utf8" });
const shardkeep = (...args: string[]): SpawnSyncReturns<string> => node("dist/provisioning/main.js", ...args);

void t.test("no emulator, demo, test or source is in the package", (t) => {
  const files = readdirSync(at, { recursive: true, encoding: "utf8" }).filter((name) => !name.startsWith("node_modules"));
  t.ok(files.includes("dist/agent/box/main.js") && files.includes("docs/threat-model.md") && files.includes("LICENSE"));
  t.same(files.filter((name) => /\/(?:emulators|demo)\/|(?:^|\/)test(?:\/|$)/.test(name) || (/\.ts$/.test(name) && !/\.d\.ts$/.test(name))), []);
  t.end();
});

void t.test("its command works, and says where the demo is", (t) => {
  t.match(shardkeep("--help"), { status: 0, stdout: /^Usage: shardkeep/ });
  t.match(shardkeep("demo"), { status: 64, stderr: /USAGE: the demo .* not in the installed package\n {2}next: clone/ });
  t.end();
});

void t.test("programs import the client by the package's name", (t) => {
  const names = node("--input-type=module", "-e", 'console.log(Object.keys(await import("shardkeep")).sort().join())');
  t.equal(names.stdout.trim(), "ClientError,FileError,ShardkeepError,acceptClient,addClient,admitClient,clientConfig,connectClient,entryOf,fileHeader,hasKeys,inviteBox,judgeClientRequest,mosquittoAcl,openFile,openStream,parseClientAnswer,readClient,readHeader,requestClient,sealFile,sealStream,systemParts", names.stderr);
  t.end();
});

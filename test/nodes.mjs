import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";

/*
 * npm run test:nodes: `npm test` again on the other Node versions that the project promises, from npm's
 * package `node`. The native modules are Node-API: one build serves them all.
 */
const versions = ["22", "24"];
const root = join(import.meta.dirname, "..");

/** The folder of that Node's program, installed at the first call. */
function install(version) {
  const folder = join(root, ".cache", `node${version}`);
  const bin = join(folder, "node_modules/node/bin");
  if (!existsSync(join(bin, "node"))) {
    mkdirSync(folder, { recursive: true });
    // Its install script fetches the program, again from the registry; npm 12 runs only what this allows.
    writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, allowScripts: { node: true } }));
    const done = spawnSync("npm", ["install", "--prefix", folder, "--no-audit", "--no-fund", "--loglevel=error", `node@${version}`], { stdio: "inherit" });
    if (done.status !== 0) throw new Error(`npm install node@${version} ended with exit ${done.status}`);
  }
  return bin;
}

const results = versions.map((version) => {
  const PATH = `${install(version)}${delimiter}${process.env.PATH}`;
  const found = spawnSync("node", ["-v"], { env: { ...process.env, PATH }, encoding: "utf8" }).stdout.trim();
  process.stdout.write(`\nNode ${found}\n`);
  const { status } = spawnSync("npm", ["test", "--silent"], { cwd: root, env: { ...process.env, PATH }, stdio: "inherit" });
  return { found, passed: status === 0 && found.startsWith(`v${version}.`) };
});
process.stdout.write("\n");
for (const { found, passed } of results) process.stdout.write(`Node ${found}: ${passed ? "passed" : "FAILED"}\n`);
process.exitCode = results.every(({ passed }) => passed) ? 0 : 1;

import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** What the enclave runs from: the folders of its own code, and these two packages. */
const packages = ["shamir-secret-sharing", "zod"];

function folderOf(name: string): string {
  const entry = fileURLToPath(import.meta.resolve(name));
  const folder = `/node_modules/${name}/`;
  return entry.slice(0, entry.lastIndexOf(folder) + folder.length);
}

/**
 * Node before 20.20 (Debian 13's is 20.19) is refused by its own model where it only looks whether something is there: a
 * package.json and these packages, in every folder from a module's up to that of the project.
 */
function lookedFor(entry: URL): string[] {
  const above = [...["../../", "../../../"].map((up) => fileURLToPath(new URL(up, entry))), ...packages.map((name) => join(folderOf(name), "../"))];
  return above.flatMap((folder) => ["package.json", ...packages.map((name) => `node_modules/${name}/`)].map((name) => join(folder, name)));
}

/**
 * Node's permission model for the enclave whose compiled file is `entry`: it reads its own code and nothing
 * else, writes nothing, and has no child processes, workers or addons. It also closes the inspector that
 * SIGUSR1 would open. Before Node 22.13 the flag is --experimental-permission.
 */
export function enclavePermission(entry: URL): string[] {
  const flag = process.allowedNodeEnvironmentFlags.has("--permission") ? "--permission" : "--experimental-permission";
  const readable = [fileURLToPath(new URL("../", entry)), ...packages.map(folderOf), ...lookedFor(entry)];
  // Each once: a path that begins another one ends such a Node in an assertion.
  return ["--no-warnings=ExperimentalWarning", flag, ...[...new Set(readable)].map((folder) => `--allow-fs-read=${folder}`)];
}

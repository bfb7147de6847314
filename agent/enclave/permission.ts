import { fileURLToPath } from "node:url";

/** What the enclave runs from: the folders of its own code, and these two packages. */
const packages = ["shamir-secret-sharing", "zod"];

function folderOf(name: string): string {
  const entry = fileURLToPath(import.meta.resolve(name));
  const folder = `/node_modules/${name}/`;
  return entry.slice(0, entry.lastIndexOf(folder) + folder.length);
}

/**
 * Node's permission model for the enclave whose compiled file is `entry`: it reads its own code and nothing
 * else, writes nothing, and has no child processes, workers or addons. It also closes the inspector that
 * SIGUSR1 would open. Before Node 22.13 the flag is --experimental-permission.
 */
export function enclavePermission(entry: URL): string[] {
  const flag = process.allowedNodeEnvironmentFlags.has("--permission") ? "--permission" : "--experimental-permission";
  const readable = [fileURLToPath(new URL("../", entry)), ...packages.map(folderOf)];
  return ["--no-warnings=ExperimentalWarning", flag, ...readable.map((folder) => `--allow-fs-read=${folder}`)];
}

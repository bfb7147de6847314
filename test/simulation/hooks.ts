import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

/** Loader hooks of a simulation (node:module, register): other cryptography, and at most one mutant. */
interface Change { readonly file: string; readonly from: string; readonly to: string }
interface Data { readonly toy: boolean; readonly changes: readonly Change[] }
interface Resolved { readonly url: string }
interface Loaded { readonly format: string; readonly source?: string | Uint8Array; readonly shortCircuit?: boolean }

const toys: Readonly<Record<string, string>> = {
  "/agent/protocol/es256.js": "es256.js",
  "/agent/protocol/seal.js": "seal.js",
  "/agent/runtime/random.js": "random.js",
  "/shamir-secret-sharing/esm/csprng.node.js": "csprng.js",
};
let data: Data = { toy: false, changes: [] };

export function initialize(given: Data): void {
  data = given;
}

export async function resolve(specifier: string, context: object, next: (specifier: string, context: object) => Promise<Resolved>): Promise<Resolved> {
  const resolved = await next(specifier, context);
  const toy = data.toy ? Object.entries(toys).find(([end]) => resolved.url.endsWith(end))?.[1] : undefined;
  return toy === undefined ? resolved : { ...resolved, url: new URL(`./crypto/${toy}`, import.meta.url).href };
}

export async function load(url: string, context: object, next: (url: string, context: object) => Promise<Loaded>): Promise<Loaded> {
  const changes = data.changes.filter(({ file }) => url.endsWith(`/dist/${file}`));
  if (changes.length === 0) return await next(url, context);
  let source = await readFile(fileURLToPath(url), "utf8");
  for (const { from, to } of changes) source = source.replace(from, () => to);
  return { format: "module", source, shortCircuit: true };
}

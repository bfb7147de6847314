import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/** Path, mode and content of everything below a folder. */
export type Tree = [path: string, mode: number, content: string][];

/** SoftHSM counts in the first 8 bytes of a token.object how often it wrote it, which every login does (hardware/pkcs11.md §1.4). */
const writeCount = 8;

/** Every file below a folder with its mode and content: token, store and locks too; `exceptUse` leaves out those, and locks. */
export function tree(folder: string, exceptUse = false): Tree {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).filter(({ name }) => !exceptUse || !name.endsWith(".lock")).map((entry): Tree[number] => {
    const path = join(entry.parentPath, entry.name);
    const content = entry.isFile() ? readFileSync(path) : Buffer.alloc(0);
    return [path, statSync(path).mode, content.toString("base64", exceptUse && entry.name === "token.object" ? writeCount : 0)];
  }).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** The paths at which two looks differ. */
export function differences(before: Tree, after: Tree): string[] {
  const texts = (of: Tree): Map<string, string> => new Map(of.map(([path, mode, content]) => [path, `${mode} ${content}`]));
  const [one, other] = [texts(before), texts(after)];
  return [...new Set([...one.keys(), ...other.keys()])].filter((path) => one.get(path) !== other.get(path));
}

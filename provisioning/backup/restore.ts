import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { configurationFor } from "../../agent/hsm/client.ts";
import { makeFolder, writeDurably } from "../../agent/runtime/durable.ts";
import { utf8 } from "../../agent/runtime/encoding.ts";
import { equalBytes } from "../../agent/runtime/secrets.ts";
import { nearest } from "../doctor/machine.ts";
import { readInstallation, type Installation } from "../machine/installation.ts";
import { whileStopped } from "../machine/lock.ts";
import { readArchive, type Archive } from "./archive.ts";
import { BackupError, digestOf, filesUnder, giveTo, isWithin, placeOf, placesOf, sha256, syncPath, type Places } from "./files.ts";

/** A file or a folder that is put in its place by one rename, with what is to be in it. */
interface Part {
  readonly path: string;
  readonly files: ReadonlyMap<string, Uint8Array>;
}
export interface RestoreStep {
  readonly step: string;
  readonly state: "ok" | "changed" | "would change";
  /** Where what was there lies now. */
  readonly aside?: string;
}
export interface Restored {
  readonly kind: Installation["kind"];
  readonly name: string;
  readonly made: string;
  readonly steps: readonly RestoreStep[];
}

/** What lies in the state folder comes with it; what lies elsewhere is a part of its own, and comes before it. */
function partsOf({ contents }: Archive, places: Places): Part[] {
  const { token, softhsmConf, state } = places;
  const files = new Map([...contents].flatMap(([name, bytes]) => {
    const path = placeOf(name, places);
    return path === undefined ? [] : [[path, bytes] as const];
  }));
  if (token !== undefined && softhsmConf !== undefined && (!existsSync(softhsmConf) || isWithin(softhsmConf, state))) files.set(softhsmConf, utf8(configurationFor(token)));
  const folders = [...(token === undefined || isWithin(token, state) ? [] : [token]), state];
  const alone = [...files].filter(([path]) => !folders.some((folder) => isWithin(path, folder)));
  return [
    ...alone.map(([path, bytes]) => ({ path, files: new Map([[path, bytes]]) })),
    ...folders.map((folder) => ({ path: folder, files: new Map([...files].filter(([path]) => isWithin(path, folder))) })),
  ];
}

/** SoftHSM's configuration is ours to write, and anybody's to edit. */
function isThere({ path, files }: Part, { softhsmConf }: Places): boolean {
  const present = (lstatSync(path).isFile() ? [path] : filesUnder(path)).filter((one) => one !== softhsmConf);
  const wanted = [...files].filter(([one]) => one !== softhsmConf);
  return present.length === wanted.length && wanted.every(([one, bytes]) => present.includes(one) && digestOf(one).sha256 === sha256(bytes));
}

/** An empty folder holds nothing that could be lost. */
const isEmpty = (path: string): boolean => lstatSync(path).isDirectory() && filesUnder(path).length === 0;

function moveAside(path: string): string {
  for (let n = 1; ; n++) {
    const aside = `${path}.replaced-${n}`;
    if (existsSync(aside)) continue;
    renameSync(path, aside);
    return aside;
  }
}

/** Made beside its place, synced, and renamed into it: cut off anywhere, it is done again. */
function put({ path, files }: Part): string | undefined {
  const made = `${path}.restoring`;
  rmSync(made, { recursive: true, force: true });
  makeFolder(dirname(path));
  const folders = new Set<string>();
  for (const [place, bytes] of files) {
    const to = made + place.slice(path.length);
    if (place !== path) mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
    writeDurably(to, bytes);
    for (let folder = dirname(to); isWithin(folder, made); folder = dirname(folder)) folders.add(folder);
  }
  for (const folder of folders) syncPath(folder);
  giveTo(nearest(dirname(path)), made);
  const aside = existsSync(path) && !isEmpty(path) ? moveAside(path) : undefined;
  if (aside === undefined) rmSync(path, { recursive: true, force: true });
  renameSync(made, path);
  syncPath(dirname(path));
  return aside;
}

/** The configuration on this machine; where there is none, the kept one, which stays under another name until all is decided. */
function installationFor(file: string, { contents }: Archive): Installation {
  if (existsSync(file)) return readInstallation(file);
  const trial = join(dirname(file), `.${basename(file)}.restoring`);
  try {
    writeDurably(trial, contents.get("config") ?? new Uint8Array());
    return { ...readInstallation(trial), file };
  } finally {
    rmSync(trial, { force: true });
  }
}

/**
 * Puts a backup in the places that the configuration `file` names; that itself, if it is not there. All digests are compared
 * before anything changes. What is there already stays; what differs is moved aside with `replace`, else refused.
 * Rejects with BACKUP_DAMAGED, BACKUP_FOREIGN, STATE_EXISTS, ALREADY_OWNED.
 */
export async function restore(from: string, file: string, { replace, dryRun }: { readonly replace: boolean; readonly dryRun: boolean }): Promise<Restored> {
  const archive = readArchive(from);
  try {
    const { kind, site, name, made } = archive.manifest;
    const of = installationFor(file, archive);
    if (of.kind !== kind || of.site !== site || of.name !== name) {
      throw new BackupError("BACKUP_FOREIGN", `${from} is of ${kind} ${name} of site ${site}; ${file} is of ${of.kind} ${of.name} of ${of.site}`, { remedy: "take the right file, or the configuration that goes with it" });
    }
    return await whileStopped(of.hsm, () => {
      const kept = existsSync(file) ? readFileSync(file) : undefined;
      const places = placesOf(of);
      const parts = partsOf(archive, places).filter(({ path }) => path !== file || kept === undefined);
      const differing = parts.filter((part) => existsSync(part.path) && !isEmpty(part.path) && !isThere(part, places));
      if (differing.length > 0 && !replace) {
        throw new BackupError("STATE_EXISTS", `there is something else at ${differing.map(({ path }) => path).join(", ")}`, { remedy: "if the backup is really to take its place: --replace, which moves it aside and deletes nothing" });
      }
      const steps = parts.map((part): RestoreStep => {
        if (existsSync(part.path) && !differing.includes(part) && !isEmpty(part.path)) return { step: part.path, state: "ok" };
        if (dryRun) return { step: part.path, state: "would change" };
        const aside = put(part);
        // Root's alone, it could not be read by the agent's user; there is no secret in it.
        if (part.path === file) chmodSync(file, 0o644);
        return { step: part.path, state: "changed", ...(aside === undefined ? {} : { aside }) };
      });
      if (kept !== undefined && !equalBytes(kept, archive.contents.get("config") ?? new Uint8Array())) steps.push({ step: `${file}, which is not the kept one`, state: "ok" });
      return { kind, name, made, steps };
    });
  } finally {
    archive.wipe();
  }
}

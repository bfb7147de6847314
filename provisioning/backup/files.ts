import { createHash } from "node:crypto";
import { chownSync, closeSync, existsSync, fsyncSync, lstatSync, openSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { FileError } from "../../agent/client/errors.ts";
import { tokenDirectory } from "../../agent/hsm/client.ts";
import { ShardkeepError } from "../../agent/runtime/errors.ts";
import { wipe } from "../../agent/runtime/secrets.ts";
import type { Installation } from "../machine/installation.ts";

export class BackupError extends ShardkeepError<"BACKUP_UNFIT" | "BACKUP_DAMAGED" | "BACKUP_FOREIGN" | "STATE_EXISTS"> {}

/** A file and its name in a backup: `config`, `pin`, `state/…`, `token/…`, wherever it lies on this machine. */
export interface Kept {
  readonly name: string;
  readonly path: string;
}

/** Where what an installation owns lies. Only SoftHSM's tokens are files. */
export interface Places {
  readonly config: string;
  readonly pin: string;
  readonly state: string;
  readonly token: string | undefined;
  /** SoftHSM's configuration names its folder by an absolute path: it is written anew and never kept. */
  readonly softhsmConf: string | undefined;
}

export function placesOf({ file, state, hsm: { pinFile, softhsmConf } }: Installation): Places {
  const token = softhsmConf === undefined ? undefined : existsSync(softhsmConf) ? tokenDirectory(softhsmConf) : join(dirname(softhsmConf), "tokens");
  return { config: file, pin: pinFile, state, token, softhsmConf };
}

export const isWithin = (path: string, folder: string): boolean => path === folder || path.startsWith(folder + sep);

/** Locks of ours are of processes, and say nothing when these have ended. */
const locks = new Set(["owner.lock", "sensor.lock", "pin.lock"]);

/** Every file under `folder` but our locks, in order. Throws BACKUP_UNFIT for what is neither file nor folder: nothing of ours is. */
export function filesUnder(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).sort().flatMap((name) => {
    const path = join(folder, name);
    const found = lstatSync(path);
    if (found.isDirectory()) return filesUnder(path);
    if (!found.isFile()) throw new BackupError("BACKUP_UNFIT", `${path} is neither a file nor a folder`, { remedy: "nothing of ours is that: move it away" });
    return locks.has(name) ? [] : [path];
  });
}

/** What a backup keeps, the configuration first. */
export function keptFiles({ config, pin, state, token, softhsmConf }: Places): Kept[] {
  const inState = filesUnder(state).filter((path) => path !== pin && path !== softhsmConf && path !== config && !(token !== undefined && isWithin(path, token)));
  const named = (as: string, folder: string, paths: readonly string[]): Kept[] => paths.map((path) => ({ name: `${as}/${relative(folder, path).split(sep).join("/")}`, path }));
  return [
    { name: "config", path: config }, { name: "pin", path: pin },
    ...named("state", state, inState),
    ...(token === undefined ? [] : named("token", token, filesUnder(token))),
  ];
}

/** Where a file of a backup goes on this machine; undefined where it has no place. */
export function placeOf(name: string, { config, pin, state, token }: Places): string | undefined {
  const [part = "", ...rest] = name.split("/");
  if (rest.length === 0) return part === "config" ? config : part === "pin" ? pin : undefined;
  return part === "state" ? join(state, ...rest) : part === "token" && token !== undefined ? join(token, ...rest) : undefined;
}

/** Of a file that may hold a secret: nothing of it stays in memory. Throws FILE_UNREADABLE. */
export function digestOf(path: string): { readonly size: number; readonly sha256: string } {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw new FileError("FILE_UNREADABLE", `cannot read ${path}`, { cause, remedy: "run this as the user that the agent runs as" });
  }
  try {
    return { size: bytes.length, sha256: sha256(bytes) };
  } finally {
    wipe(bytes);
  }
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("base64url");
}

export function syncPath(path: string): void {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Gives what root has made to whoever owns the folder that it lies in: the agent's user. */
export function giveTo(folder: string, path: string): void {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = statSync(folder);
  chownSync(path, uid, gid);
  if (statSync(path).isDirectory()) for (const name of readdirSync(path)) giveTo(folder, join(path, name));
}

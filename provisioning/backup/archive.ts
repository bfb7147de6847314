import { spawnSync } from "node:child_process";
import { closeSync, fsyncSync, mkdirSync, mkdtempSync, openSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { z } from "zod";
import { FileError } from "../../agent/client/errors.ts";
import { hash, id } from "../../agent/protocol/primitives.ts";
import { wipe } from "../../agent/runtime/secrets.ts";
import { BackupError, digestOf, sha256, syncPath, type Kept } from "./files.ts";

/** A name can go up to no other folder, and to none by an absolute path. */
const name = z.string().regex(/^(?:config|pin|(?:state|token)(?:\/(?!\.{1,2}(?:\/|$))[\w. -]+)+)$/).max(1000);
const manifest = z.strictObject({
  format: z.literal(1),
  kind: z.enum(["box", "coordinator"]), site: id, name: id,
  /** Shardkeep's own, and by this machine's clock: for people. */
  version: z.string().max(32), made: z.string().max(32),
  /** Commit that the store was at. */
  commit: z.int().min(0),
  files: z.array(z.strictObject({ name, size: z.int().min(0), sha256: hash })).min(1).max(100_000),
});
export type Manifest = z.infer<typeof manifest>;
export type About = Omit<Manifest, "format" | "files">;

/** The contents are views on one buffer, which the caller wipes: PIN and token are in it. */
export interface Archive {
  readonly manifest: Manifest;
  readonly contents: ReadonlyMap<string, Uint8Array>;
  readonly wipe: () => void;
}

const manifestName = "manifest.json";
const mostBytes = 512 * 1024 * 1024;

/** tar(1) is Essential in Debian. Files go in and out by descriptor: a name with a colon would be another machine's to it. */
function tar(args: readonly string[], stdin: number | string, stdout: number | "pipe"): Buffer {
  const { status, stdout: out, stderr, error } = spawnSync("tar", args, { stdio: [typeof stdin === "number" ? stdin : "pipe", stdout, "pipe"], ...(typeof stdin === "string" ? { input: stdin } : {}), maxBuffer: mostBytes, env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", LC_ALL: "C" } });
  if (error !== undefined || status !== 0) throw new Error(`tar ${args[0] ?? ""}: ${error?.message ?? stderr.toString("utf8").slice(0, 500)}`);
  return out;
}

/**
 * One file, mode 0600, there whole or not at all, and read back before it has its name. Throws FILE_UNWRITABLE, BACKUP_UNFIT
 * for a name that no backup has, BACKUP_DAMAGED if what was read back is not what was written.
 */
export function writeArchive(out: string, about: About, files: readonly Kept[]): Manifest {
  const whole = manifest.safeParse({ ...about, format: 1, files: files.map(({ name, path }) => ({ name, ...digestOf(path) })) });
  if (!whole.success) throw new BackupError("BACKUP_UNFIT", `there is a file that is none of ours: ${z.prettifyError(whole.error)}`, { remedy: "move it out of the state folder" });
  // Links under the archive's names to where the files lie: nothing secret is copied on the way.
  const links = mkdtempSync(join(tmpdir(), "shardkeep-backup-"));
  const unfinished = `${out}.unfinished`;
  try {
    writeFileSync(join(links, manifestName), `${JSON.stringify(whole.data, null, 1)}\n`);
    for (const { name, path } of files) {
      mkdirSync(dirname(join(links, name)), { recursive: true });
      symlinkSync(path, join(links, name));
    }
    rmSync(unfinished, { force: true });
    const file = openSync(unfinished, "wx", 0o600);
    try {
      tar(["--create", "--directory", links, "--format=posix", "--numeric-owner", "--owner=0", "--group=0", "--mode=0600", "--dereference", "--no-recursion", "--null", "--verbatim-files-from", "--files-from=-", "--file=-"],
        [manifestName, ...files.map((one) => one.name)].join("\0"), file);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    readArchive(unfinished).wipe();
    renameSync(unfinished, out);
    syncPath(dirname(out));
    return whole.data;
  } catch (cause) {
    if (cause instanceof BackupError) throw cause;
    throw new FileError("FILE_UNWRITABLE", `cannot write ${out}: ${cause instanceof Error ? cause.message : ""}`, { cause, remedy: "check the folder, its permissions and the free space; is the stick in?" });
  } finally {
    rmSync(unfinished, { force: true });
    rmSync(links, { recursive: true, force: true });
  }
}

function damaged(path: string, why: string, cause?: unknown): BackupError {
  return new BackupError("BACKUP_DAMAGED", `${path} is no whole backup: ${why}`, { cause, remedy: "copy it again from where it is kept; nothing was changed here" });
}

/** tar gives us bytes alone, never files: whatever names, links or owners an archive has, it writes nothing here. */
function contentOf(path: string, ...only: readonly string[]): Buffer {
  const file = openSync(path, "r");
  try {
    return tar(["--extract", "--to-stdout", "--file=-", ...only], file, "pipe");
  } finally {
    closeSync(file);
  }
}

/** Every file of it, its digest compared. Throws FILE_UNREADABLE, BACKUP_DAMAGED. */
export function readArchive(path: string): Archive {
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) throw new FileError("FILE_UNREADABLE", `there is no file ${path}`, { remedy: "check the path and its permissions; is the stick in?" });
  let head: Buffer;
  let all: Buffer;
  try {
    head = contentOf(path, "--occurrence=1", manifestName);
    all = contentOf(path);
  } catch (cause) {
    throw damaged(path, "it cannot be read", cause);
  }
  try {
    const known = manifest.safeParse(json(head));
    if (!known.success) throw damaged(path, "its manifest is not of this version's form", known.error);
    const contents = new Map<string, Uint8Array>();
    let at = head.length;
    for (const { name, size, sha256: digest } of known.data.files) {
      const bytes = all.subarray(at, at + size);
      at += size;
      if (bytes.length !== size || sha256(bytes) !== digest || contents.has(name)) throw damaged(path, `${name} is not what was kept`);
      contents.set(name, bytes);
    }
    for (const needed of ["config", "pin", "state/store/acknowledged"]) if (!contents.has(needed)) throw damaged(path, `${needed} is not in it`);
    if (at !== all.length || !all.subarray(0, head.length).equals(head)) throw damaged(path, "there is more in it than its manifest says");
    return { manifest: known.data, contents, wipe: () => { wipe(all); } };
  } catch (error) {
    wipe(all);
    throw error;
  }
}

function json(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    return undefined;
  }
}

import { accessSync, constants, existsSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import { hasCode, isNamed, ShardkeepError } from "./errors.ts";

/**
 * A step's result: it `changed` something or found everything `ok`; `would change` in a rehearsal alone; `failed` is the
 * last word of a run.
 */
export type StepState = "ok" | "changed" | "would change" | "failed";
export type Fields = Readonly<Record<string, string | number | boolean>>;
export type Say = (step: string, state: StepState, fields?: Fields) => void;

/** Progress for another program: one line of JSON a step on stdout. */
export const sayJson: Say = (step, state, fields = {}) => {
  process.stdout.write(`${JSON.stringify({ step, state, ...fields })}\n`);
};

export class DiskError extends ShardkeepError<"DISK_FULL" | "DISK_UNWRITABLE" | "FILE_UNWRITABLE"> {}

/** Does what `step` takes; an error is said as its result and goes on. What the disk refuses becomes DISK_FULL, DISK_UNWRITABLE. */
export async function inStep<T>(say: Say, step: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    const error = onDisk(thrown);
    if (isNamed(error)) say(step, "failed", failureFields(error));
    throw error;
  }
}

/** What a failed step says of the error that ended it. */
export function failureFields({ code, message, remedy }: ShardkeepError): { readonly code: string; readonly message: string; readonly remedy?: string } {
  return { code, message, ...(remedy === undefined ? {} : { remedy }) };
}

const asOwner = "run it as the user that the agent runs as (sudo -u shardkeep); is the disk mounted read-only?";

function onDisk(error: unknown): unknown {
  if (!(error instanceof Error && "code" in error && "path" in error)) return error;
  const at = String(error.path);
  switch (error.code) {
    case "ENOSPC": case "EDQUOT": return new DiskError("DISK_FULL", `no space for ${at}`, { cause: error, remedy: "free some, then run this again: it goes on where it stopped" });
    case "EACCES": case "EPERM": case "EROFS": return new DiskError("DISK_UNWRITABLE", `this user cannot use ${at}`, { cause: error, remedy: asOwner });
    default: return error;
  }
}

/** With less than this nothing is begun on a disk, in bytes: a token, a store and its log must have room. */
export const leastSpace = 32 * 1024 * 1024;

/** Throws DISK_UNWRITABLE for a folder that this user could neither make nor write to, DISK_FULL where `space` bytes are not free. */
export function requireWritable(folder: string, space = leastSpace): void {
  let there = folder;
  while (!existsSync(there) && dirname(there) !== there) there = dirname(there);
  try {
    accessSync(there, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw new DiskError("DISK_UNWRITABLE", `this user cannot write to ${there}`, { cause, remedy: asOwner });
  }
  const { bavail, bsize } = statfsSync(there);
  if (bavail * bsize < space) throw new DiskError("DISK_FULL", `${Math.floor(bavail * bsize / 1024)} KiB are free at ${there}, ${space / 1024} are needed`, { remedy: "free some, then run this again: nothing was changed" });
}

/** More than a request or an answer takes, in bytes. */
const fileSpace = 64 * 1024;

export function unwritable(path: string, cause?: unknown): DiskError {
  return new DiskError("FILE_UNWRITABLE", `cannot write ${path}`, { cause, remedy: "check the folder, its rights and its free space; is the stick in, and not read-only?" });
}

/** Before anything is made for the file at `path`: a stick is found out while it is nothing but a stick. Throws FILE_UNWRITABLE, DISK_FULL. */
export function requireRoomFor(path: string): void {
  const folder = dirname(path);
  if (!existsSync(folder)) throw unwritable(path);
  try {
    requireWritable(folder, fileSpace);
  } catch (error) {
    throw hasCode(error, "DISK_UNWRITABLE") ? unwritable(path, error) : error;
  }
}

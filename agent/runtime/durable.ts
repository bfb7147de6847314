import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** Makes `folder`, and those above it that are missing, for its owner alone. */
export function makeFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
}

/** Writes a file that is there whole or not at all, also after a power cut: temporary file, fsync, rename, fsync of the folder. Mode 0600. */
export function writeDurably(path: string, content: string | Uint8Array): void {
  const temporary = `${path}.new`;
  // One that a power cut left may be a rehearsal's link to the real one, or have another mode.
  rmSync(temporary, { force: true });
  try {
    writeFileSync(temporary, content, { mode: 0o600, flush: true });
  } catch (error) {
    // On a full disk half of one would take the last space.
    rmSync(temporary, { force: true });
    throw error;
  }
  renameSync(temporary, path);
  const folder = openSync(dirname(path), "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

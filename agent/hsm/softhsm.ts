import {
  closeSync, cpSync, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { writeDurably } from "../runtime/durable.ts";
import { HsmError } from "./errors.ts";

/**
 * SoftHSM's token on disk. It writes without fsync and truncates `token.object` at every login: losing
 * that file loses the token, and a saved copy brings everything back (hardware/pkcs11.md §1.4).
 */
const tokenObject = "token.object";
const backupEnding = ".token-backup";
/** Among the tokens, for it must be on their disk: SoftHSM finds no token.object in it, and passes it over. */
const unfinished = "unfinished";

/** The folder that holds the tokens, out of SoftHSM's configuration file. */
export function tokenDirectory(conf: string): string {
  let text: string;
  try {
    text = readFileSync(conf, "utf8");
  } catch (cause) {
    throw new HsmError("HSM_CONFIG_INVALID", `cannot read SoftHSM's configuration ${conf}`, { cause, remedy: "check softhsmConf in the configuration" });
  }
  const directory = /^\s*directories\.tokendir\s*=\s*(\S+)\s*$/m.exec(text)?.[1];
  if (directory === undefined) {
    throw new HsmError("HSM_CONFIG_INVALID", `${conf} names no directories.tokendir`, { remedy: `add the line directories.tokendir = /some/folder to ${conf}` });
  }
  return directory;
}

/** Writes a configuration for a token of its own, unless there is one. */
export function prepareDirectory(conf: string, directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (existsSync(conf)) return;
  writeDurably(conf, configurationFor(directory));
}

/** SoftHSM's configuration for tokens in `directory`. */
export function configurationFor(directory: string): string {
  return `directories.tokendir = ${directory}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n`;
}

/** Runs file work; what the disk says against it becomes a named error. */
function onDisk<T>(doing: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof HsmError) throw cause;
    throw new HsmError("HSM_FAULT", `${doing} failed`, { cause, remedy: "check the token's folder and the free space of its disk" });
  }
}

function sync(path: string): void {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** A process that is just ending may take a file away between our look at the folder and this: nothing is left to sync of it. */
function syncIfThere(path: string): void {
  try {
    sync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

function tokens(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory() && entry.name !== unfinished).map((entry) => entry.name);
}

/** Copies the tokens of `conf` to `directory`, and `conf` itself, changed to it, to `copy`. The PINs that seal them stay where they are. */
export function copyTokens(conf: string, copy: string, directory: string): void {
  if (!existsSync(conf)) return;
  const from = tokenDirectory(conf);
  onDisk(`copying ${from}`, () => {
    if (existsSync(from)) cpSync(from, directory, { recursive: true });
    writeConfiguration(conf, copy, directory);
  });
}

/** What `conf` says, but of the tokens in `directory`. */
function writeConfiguration(conf: string, copy: string, directory: string): void {
  writeFileSync(copy, readFileSync(conf, "utf8").replace(/^\s*directories\.tokendir\s*=.*$/m, `directories.tokendir = ${directory}`));
}

/**
 * Has `make` make a token, by the configuration that it is given, beside those of `conf`, and moves it to them when it is
 * whole and durable: SoftHSM makes one in many steps, and half of one, whose PIN nobody set, opens to nobody. What an
 * earlier try has left there is removed. `conf` must be owned.
 */
export function makeAside(conf: string, make: (copy: string) => void): void {
  const directory = tokenDirectory(conf);
  const aside = join(directory, unfinished);
  const copy = `${conf}.${unfinished}`;
  onDisk(`making a token in ${aside}`, () => {
    rmSync(aside, { recursive: true, force: true });
    mkdirSync(aside, { mode: 0o700 });
    writeConfiguration(conf, copy, aside);
  });
  make(copy);
  syncTokens(copy);
  backUpTokens(copy);
  onDisk(`moving a token to ${directory}`, () => {
    // A folder is the token, and comes last: what lies beside it counts for nothing without it.
    const isToken = (entry: string): boolean => !entry.endsWith(backupEnding);
    for (const entry of readdirSync(aside).sort((a, b) => Number(isToken(a)) - Number(isToken(b)))) renameSync(join(aside, entry), join(directory, entry));
    sync(directory);
    rmSync(aside, { recursive: true });
    rmSync(copy);
  });
}

/** Makes everything that SoftHSM has written durable: files, token folders, their parent. */
export function syncTokens(conf: string): void {
  const directory = tokenDirectory(conf);
  onDisk(`syncing ${directory}`, () => {
    for (const token of tokens(directory)) {
      const folder = join(directory, token);
      for (const file of readdirSync(folder)) syncIfThere(join(folder, file));
      sync(folder);
    }
    sync(directory);
  });
}

/** Keeps a copy of every `token.object` beside its folder. It changes later in its flag bits only. */
export function backUpTokens(conf: string): void {
  const directory = tokenDirectory(conf);
  onDisk(`copying ${tokenObject} in ${directory}`, () => {
    for (const token of tokens(directory)) {
      writeDurably(join(directory, token + backupEnding), readFileSync(join(directory, token, tokenObject)));
    }
  });
}

/** Puts back each `token.object` that is gone or not as long as its copy; says which. Before C_Initialize only. */
export function restoreTokens(conf: string): string[] {
  const directory = tokenDirectory(conf);
  return onDisk(`restoring ${tokenObject} in ${directory}`, () => {
    const damaged = tokens(directory).filter((token) => {
      const backup = statSync(join(directory, token + backupEnding), { throwIfNoEntry: false });
      const current = statSync(join(directory, token, tokenObject), { throwIfNoEntry: false });
      return backup !== undefined && current?.size !== backup.size;
    });
    for (const token of damaged) writeDurably(join(directory, token, tokenObject), readFileSync(join(directory, token + backupEnding)));
    return damaged;
  });
}

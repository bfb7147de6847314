import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { FileError } from "../../agent/client/errors.ts";
import { ShardkeepError } from "../../agent/runtime/errors.ts";
import { version } from "../../agent/runtime/version.ts";
import { recordIn, readStore } from "../doctor/store.ts";
import type { Installation } from "../machine/installation.ts";
import { whileStopped } from "../machine/lock.ts";
import { writeArchive, type About, type Manifest } from "./archive.ts";
import { isWithin, keptFiles, placesOf, type Kept } from "./files.ts";

/** What a backup would keep. Throws PIN_UNREADABLE, TOKEN_MISSING, BACKUP_UNFIT: without one of them the rest is worth nothing. */
function wholeOf(of: Installation): Kept[] {
  const places = placesOf(of);
  if (!existsSync(places.pin)) throw new ShardkeepError("PIN_UNREADABLE", `${places.pin} is not there`, { remedy: "check pinFile in the configuration: without the PIN a backup opens nothing" });
  const files = keptFiles(places);
  if (places.token !== undefined && !files.some(({ name }) => name.startsWith("token/"))) throw new ShardkeepError("TOKEN_MISSING", `there is no token in ${places.token}`, { remedy: "check softhsmConf in the configuration" });
  return files;
}

/**
 * One file of all that makes this box or coordinator: state, token, PIN, configuration. Only while it is stopped, and of
 * a store that opens. Rejects with ALREADY_OWNED, STORE_…, NOT_JOINED, FILE_EXISTS, FILE_UNWRITABLE.
 */
export async function backUp(of: Installation, out: string, dryRun: boolean): Promise<Pick<Manifest, "files">> {
  const { kind, site, name, state, hsm } = of;
  const target = resolve(out);
  if (existsSync(target)) throw new FileError("FILE_EXISTS", `${target} is already there`, { remedy: "name another output, or move that file away" });
  if (isWithin(target, state)) throw new FileError("FILE_UNWRITABLE", `${target} is inside what is kept`, { remedy: "name a place outside the state folder, best on another disk" });
  return await whileStopped(hsm, async () => {
    const commit = await readStore(join(state, "store"), (store) => { recordIn(store, site); return store.head.commit; });
    const files = wholeOf(of);
    if (dryRun) return { files: files.map((file) => ({ name: file.name, size: 0, sha256: "" })) };
    const about: About = { kind, site, name, version, made: new Date().toISOString(), commit };
    return writeArchive(target, about, files);
  });
}

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/*
 * Where Debian's run-time parts are: installed, or unpacked into .cache/ by set-up when it had no root.
 * TypeScript imports this as "#paths", which is the same file from the sources and from dist/.
 */

/** The project's own folder, ending in "/". */
export const root = fileURLToPath(new URL("../../", import.meta.url));

/** What may be deleted at any time and is made again. */
export const cache = join(root, ".cache");

/** Debian packages unpacked without root. */
export const unpacked = join(cache, "debian");

/** SoftHSM2's PKCS#11 module, or null. `env` is for the process that loads it. */
export function findSoftHsm() {
  return find("usr/lib/softhsm/libsofthsm2.so");
}

/** Mosquitto's program, or null. `env` is for the process that is started. */
export function findMosquitto() {
  return find("usr/sbin/mosquitto");
}

/** libfaketime, which gives a program another time, or null; only tests want it. */
export function findFakeTime() {
  for (const base of ["/", unpacked]) {
    const lib = join(base, "usr/lib");
    const file = existsSync(lib) ? readdirSync(lib).map((name) => join(lib, name, "faketime/libfaketimeMT.so.1")).find((path) => existsSync(path)) : undefined;
    if (file !== undefined) return { file, env: { LD_PRELOAD: file } };
  }
  return null;
}

function find(path) {
  const installed = join("/", path);
  if (existsSync(installed)) return { file: installed, env: {} };
  const file = join(unpacked, path);
  return existsSync(file) ? { file, env: { LD_LIBRARY_PATH: libraryPath() } } : null;
}

/** The unpacked multiarch folders (usr/lib/x86_64-linux-gnu …): dpkg-deb -x runs no ldconfig. */
function libraryPath() {
  const folders = ["usr/lib", "lib"].map((folder) => join(unpacked, folder)).filter((folder) => existsSync(folder));
  return folders.flatMap((folder) => readdirSync(folder).filter((name) => name.includes("-linux-")).map((name) => join(folder, name))).join(":");
}

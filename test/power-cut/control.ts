import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { findSoftHsm } from "#paths";
import { Disk, type DiskKind } from "./disk.ts";

/** What a power cut does to SoftHSM alone: whether a key just made is lost, and one just destroyed is there again. */
export interface Control {
  readonly madeIsLost: boolean;
  readonly destroyedIsBack: boolean;
}

/** `box` is the folder of a box that does not run; `at` becomes a disk with a copy of its token, and is gone again afterwards. */
export async function bareSoftHsm(kind: DiskKind, box: string, token: string, at: string): Promise<Control> {
  const source = `${at}.source`;
  mkdirSync(source);
  cpSync(`${box}/tokens`, `${source}/tokens`, { recursive: true });
  cpSync(`${box}/pin`, `${source}/pin`);
  writeFileSync(`${source}/softhsm2.conf`, `directories.tokendir = ${at}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n`);
  const softHsm = findSoftHsm();
  if (softHsm === null) throw new Error("SoftHSM2 is not there");
  const keys = (what: "make" | "destroy" | "count", label: string): number => Number(execFileSync(
    process.execPath, [fileURLToPath(new URL("bare-softhsm.js", import.meta.url)), what, softHsm.file, token, `${at}/pin`, label],
    { env: { ...process.env, ...softHsm.env, SOFTHSM2_CONF: `${at}/softhsm2.conf` }, encoding: "utf8" },
  ));
  const disk = new Disk(kind, at);
  disk.lay(source);
  try {
    keys("make", "durable");
    execFileSync("sync", ["-f", at]);
    disk.snap();
    await disk.back();
    if (keys("count", "durable") !== 1) throw new Error("a synced key is lost: this disk cannot be used");
    keys("make", "bare");
    keys("destroy", "durable");
    disk.snap();
    await disk.back();
    return { madeIsLost: lost(() => keys("count", "bare")), destroyedIsBack: !lost(() => keys("count", "durable")) };
  } finally {
    await disk.unmount();
    for (const path of [source, at, `${at}.img`]) rmSync(path, { recursive: true, force: true });
  }
}

/** Also a token that does not open any more has lost the key. */
function lost(count: () => number): boolean {
  try {
    return count() === 0;
  } catch {
    return true;
  }
}

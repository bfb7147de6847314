import { closeSync, existsSync, fsyncSync, openSync, readdirSync, readFileSync, rmSync, statfsSync, statSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { leastSpace } from "../../agent/runtime/steps.ts";
import { clockRemedy, isUnset } from "../../agent/runtime/unset-clock.ts";
import { runs } from "../machine/holders.ts";
import { Concern, Fault, type Check } from "./check.ts";

/** The oldest Node that we run on (package.json, engines). */
const leastNode = [20, 19] as const;
const triedOn = ["x64", "arm64"];
const mebibyte = 1024 * 1024;
const day = 86_400_000;
const ruleFolders = ["/etc/udev/rules.d", "/run/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d"];

export function judgeNode(version: string, arch: string): string {
  const [major = 0, minor = 0] = version.replace(/^v/, "").split(".").map(Number);
  if (major < leastNode[0] || (major === leastNode[0] && minor < leastNode[1])) {
    throw new Fault("NODE_TOO_OLD", `this is Node ${version}; ${leastNode.join(".")} is needed`, { remedy: "Debian 13 has it (apt install nodejs); on Debian 12 take it from nodesource.com, or upgrade" });
  }
  if (!triedOn.includes(arch)) throw new Concern("ARCHITECTURE_UNTRIED", `Node ${version} on ${arch}; tried are ${triedOn.join(" and ")}`, { remedy: "use a 64-bit system" });
  return `Node ${version} on ${arch}`;
}

/** `newest`: when a file of ours was last written, undefined where there is none. Nothing of ours depends on the clock but what people read. */
export function judgeClock(now: number, newest: number | undefined): string {
  const shown = new Date(now).toISOString();
  const remedy = clockRemedy;
  if (isUnset(shown)) throw new Concern("CLOCK_UNSET", `it says ${shown}`, { remedy });
  if (newest !== undefined && newest > now + day) throw new Concern("CLOCK_BEHIND", `it says ${shown}, but a file here was written at ${new Date(newest).toISOString()}`, { remedy });
  return shown;
}

export function judgeSpace(free: number, folder: string): string {
  const text = `${Math.floor(free / mebibyte)} MiB free at ${folder}`;
  const remedy = "find what fills it: journalctl --disk-usage, apt clean, du -x -d2 /";
  if (free < leastSpace) throw new Fault("DISK_FULL", text, { remedy });
  if (free < 256 * mebibyte) throw new Concern("DISK_LOW", text, { remedy });
  return text;
}

const remedies: Readonly<Record<string, string>> = {
  EROFS: "the file system is read-only: a card does that when it fails (dmesg); else mount -o remount,rw",
  EACCES: "run this as the user that the agent runs as, or give the folder to that user",
  ENOSPC: "find what fills it: journalctl --disk-usage, apt clean, du -x -d2 /",
};

/** Writes a file, syncs it, removes it. */
export function tryDisk(folder: string): string {
  const path = join(folder, `.doctor-${process.pid}`);
  try {
    const file = openSync(path, "wx", 0o600);
    try {
      writeSync(file, "written by shardkeep doctor, and removed\n");
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    throw new Fault(code === "ENOSPC" ? "DISK_FULL" : "DISK_UNWRITABLE", `cannot write and sync a file in ${folder}: ${code}`, { cause, remedy: remedies[code] ?? "the disk's health: dmesg, smartctl; replace a card that fails" });
  } finally {
    rmSync(path, { force: true });
  }
  return `${folder} takes files and syncs them`;
}

export function judgeModemManager(running: boolean, isKeptOff: boolean): string {
  if (!running) return "not running";
  if (isKeptOff) return "running; a udev rule of ours keeps it off the sensor's line";
  throw new Concern("MODEM_MANAGER", "it runs, and no udev rule of ours keeps it off: it writes to every new serial line", { remedy: "systemctl disable --now ModemManager, or install our udev rules" });
}

/** Whether a rule file of ours has ModemManager ignore a device. */
export function keepsOff(folders: readonly string[] = ruleFolders): boolean {
  return folders.filter((folder) => existsSync(folder)).some((folder) => readdirSync(folder)
    .some((name) => name.includes("shardkeep") && /ID_MM_(?:DEVICE|PORT)_IGNORE/.test(readFileSync(join(folder, name), "utf8"))));
}

/** When something in `folder` was last written. */
export function newestIn(folder: string): number | undefined {
  if (!existsSync(folder)) return undefined;
  const times = readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) => statSync(join(folder, name), { throwIfNoEntry: false })?.mtimeMs ?? 0);
  return times.length === 0 ? undefined : Math.max(...times);
}

/** The nearest folder above that is there already. */
export const nearest = (folder: string): string => (existsSync(folder) ? folder : nearest(dirname(folder)));

/** What needs no configuration; with `state`, also of the disk and the time there. */
export function machineChecks(state: string | undefined): Check[] {
  const free = (folder: string): string => {
    const { bavail, bsize } = statfsSync(folder);
    return judgeSpace(bavail * bsize, folder);
  };
  return [
    { name: "node", run: () => judgeNode(process.version, process.arch) },
    { name: "clock", run: () => judgeClock(Date.now(), state === undefined ? undefined : newestIn(state)) },
    { name: "space", run: () => free(nearest(state ?? "/")) },
    ...(state === undefined ? [] : [{ name: "disk", run: () => tryDisk(nearest(state)) }]),
    { name: "modem manager", run: () => judgeModemManager(runs("ModemManager"), keepsOff()) },
  ];
}

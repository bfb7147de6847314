import { readdirSync, readFileSync, readlinkSync, realpathSync } from "node:fs";

export interface Holder {
  readonly pid: number;
  /** The program's name, as the kernel keeps it: 15 bytes. */
  readonly name: string;
}

function quietly<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined; // gone meanwhile, or another user's
  }
}

/** The processes that have `path` open, as far as this user may see: root sees all. */
export function holdersOf(path: string, proc = "/proc"): Holder[] {
  const real = quietly(() => realpathSync(path)) ?? path;
  return readdirSync(proc).filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
    const open = quietly(() => readdirSync(`${proc}/${pid}/fd`)) ?? [];
    if (!open.some((fd) => quietly(() => readlinkSync(`${proc}/${pid}/fd/${fd}`)) === real)) return [];
    return [{ pid: Number(pid), name: quietly(() => readFileSync(`${proc}/${pid}/comm`, "utf8"))?.trim() ?? "?" }];
  });
}

/** Whether a program of this name runs. */
export function runs(program: string, proc = "/proc"): boolean {
  return readdirSync(proc).some((pid) => /^\d+$/.test(pid) && quietly(() => readFileSync(`${proc}/${pid}/comm`, "utf8"))?.trim() === program);
}

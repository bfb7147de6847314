import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** A kind of disk: how it is made, and with what it is mounted so that nothing reaches it by itself soon. */
export interface DiskKind {
  readonly name: "ext4" | "btrfs";
  readonly bytes: string;
  readonly make: readonly string[];
  readonly options: string;
}

export const diskKinds: readonly DiskKind[] = [
  // auto_da_alloc is ext4's own remedy for programs that do not sync: without it a rename may leave an empty file.
  { name: "ext4", bytes: "64M", make: ["mkfs.ext4", "-q", "-F"], options: "noauto_da_alloc,commit=300" },
  { name: "btrfs", bytes: "128M", make: ["mkfs.btrfs", "-q", "-f"], options: "commit=300" },
];

function run(file: string, ...args: readonly string[]): void {
  execFileSync(file, [...args], { stdio: ["ignore", "pipe", "pipe"] });
}

/** Why this kind of disk cannot be had on this machine; null if it can. */
export function whyNot({ name, make: [program = ""] }: DiskKind): string | null {
  if (process.getuid?.() !== 0) return "mounting needs root";
  if (spawnSync(program, ["--version"]).error !== undefined) return `${program} is missing (apt-get install ${name === "ext4" ? "e2fsprogs" : "btrfs-progs"})`;
  spawnSync("modprobe", ["-q", name]);
  if (!readFileSync("/proc/filesystems", "utf8").split(/\s+/).includes(name)) return `this kernel has no ${name}`;
  if (!existsSync("/dev/loop-control")) return "there are no loop devices here";
  return null;
}

/**
 * A disk of its own under `folder`: a file behind a loop device. What has reached the file when it is copied is
 * what a power cut leaves; what the kernel still had in memory is not in it.
 */
export class Disk {
  readonly #kind: DiskKind;
  readonly #folder: string;
  readonly #image: string;
  readonly #cut: string;

  constructor(kind: DiskKind, folder: string) {
    this.#kind = kind;
    this.#folder = folder;
    this.#image = `${folder}.img`;
    this.#cut = `${folder}.cut.img`;
  }

  /** Makes it with the content of `from`, all of it durable. */
  lay(from: string): void {
    const { bytes, make: [program = "", ...options] } = this.#kind;
    rmSync(this.#folder, { recursive: true, force: true });
    rmSync(this.#image, { force: true });
    mkdirSync(this.#folder, { mode: 0o700 });
    run("truncate", "-s", bytes, this.#image);
    run(program, ...options, this.#image);
    this.mount();
    run("cp", "-a", `${from}/.`, this.#folder);
    run("sync", "-f", this.#folder);
  }

  mount(): void {
    run("mount", "-t", this.#kind.name, "-o", `loop,${this.#kind.options}`, this.#image, this.#folder);
  }

  /** Keeps what is on the disk at this moment, without a sync. */
  snap(): void {
    run("cp", "--sparse=always", this.#image, this.#cut);
  }

  /** The disk as it was at {@link snap}: nobody may have a file of it open. */
  async back(): Promise<void> {
    await this.unmount();
    renameSync(this.#cut, this.#image);
    this.mount();
  }

  async unmount(): Promise<void> {
    // A process that was killed a moment ago may still be on its way out.
    for (let left = 50; spawnSync("umount", [this.#folder]).status !== 0 && left > 0; left -= 1) {
      if (spawnSync("mountpoint", ["-q", this.#folder]).status !== 0) return;
      await sleep(100);
    }
  }
}

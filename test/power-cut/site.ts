import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Point } from "../kill-matrix/point.ts";
import type { Fate } from "../kill-matrix/play.ts";
import { boxes, MatrixSite, parties } from "../kill-matrix/site.ts";
import { Disk, type DiskKind } from "./disk.ts";

/** What was under way inside the kernel when everything was stopped is over by then. */
const settleMs = 150;

/** Processes that `pid` has started, and theirs. */
function descendants(pid: number): number[] {
  const parents = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((name) => {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      return [{ pid: Number(name), parent: Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) }];
    } catch {
      return []; // ended since it was listed
    }
  });
  const of = (one: number): number[] => parents.filter(({ parent }) => parent === one).flatMap((child) => [child.pid, ...of(child.pid)]);
  return of(pid);
}

/** The site of the kill matrix, each party's folder on a disk of its own whose power can be cut. */
export class PowerSite extends MatrixSite {
  readonly #disks: ReadonlyMap<string, Disk>;

  constructor(kind: DiskKind) {
    super();
    this.#disks = new Map(parties.map((party) => [party, new Disk(kind, this.path(party))]));
  }

  /** Every party's folder as it was when the site was built; also after a cut from which it did not recover. */
  async lay(): Promise<void> {
    await this.stopAll();
    for (const [party, disk] of this.#disks) {
      await disk.unmount();
      disk.lay(this.path("kept", party));
    }
  }

  /** The power of the party's own machine fails at the point, or that of the whole site. */
  cut(all: boolean): Fate {
    return async (point: Point) => {
      this.arm(point, "SIGSTOP");
      void this.reshard().catch(() => undefined);
      await this.reached(point.party);
      const names = all ? parties : [point.party];
      const pids = names.flatMap((name) => {
        const pid = this.processes.get(name)?.pid;
        return pid === undefined ? [] : [pid, ...descendants(pid)];
      });
      for (const pid of pids) process.kill(pid, "SIGSTOP");
      await sleep(settleMs);
      for (const name of names) this.#disk(name).snap();
      for (const name of names) await this.kill(name);
      await Promise.all(names.map((name) => this.#disk(name).back()));
      if (names.includes("coordinator")) {
        await this.stopCoordinator();
        await this.startCoordinator();
      }
      await Promise.all(names.filter((name) => boxes.includes(name)).map((box) => this.startBox(box)));
    };
  }

  override async end(keep: boolean): Promise<void> {
    await this.stopAll();
    for (const disk of this.#disks.values()) await disk.unmount();
    await super.end(keep);
  }

  #disk(party: string): Disk {
    const disk = this.#disks.get(party);
    if (disk === undefined) throw new Error(`${party} has no disk`);
    return disk;
  }
}

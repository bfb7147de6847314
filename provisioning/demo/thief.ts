import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readBoxConfig } from "../../agent/box/config.ts";
import { Shelf, type Shelved } from "../../agent/box/shelf.ts";
import { HsmProcess } from "../../agent/hsm/client.ts";
import { keyCheckValue } from "../../agent/protocol/ciphertext.ts";
import type { KeyRecord } from "../../agent/protocol/key-record.ts";
import { generateRecipient, open } from "../../agent/protocol/seal.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { wipe } from "../../agent/runtime/secrets.ts";
import { interpolateAtZero } from "../../agent/sharding/shamir.ts";
import { openStore } from "../../agent/store/level.ts";
import type { BoxId, DemoSite } from "./site.ts";

interface Image {
  readonly box: BoxId;
  readonly folder: string;
}

export interface StolenShard {
  readonly box: BoxId;
  readonly record: KeyRecord;
  readonly x: number;
  readonly y: Uint8Array;
}

/**
 * Somebody with images of boxes' disks: store, token and PIN. On SoftHSM a token is files, so an image *is* the
 * shard, and the thief takes it out with the product's own code. A hardware HSM would not give its seal key away.
 */
export class Thief {
  readonly #site: DemoSite;
  #images = 0;

  constructor(site: DemoSite) {
    this.#site = site;
  }

  /** Copies a box's whole folder as it is now, running or not. */
  image(box: BoxId): Image {
    const folder = this.#site.path(`thief-${++this.#images}`);
    this.#site.copy(box, folder);
    const conf = join(folder, "softhsm2.conf");
    writeFileSync(conf, readFileSync(conf, "utf8").replaceAll(this.#site.path(box), folder));
    return { box, folder };
  }

  /** Everything that is on an image: of all epochs, also what only waits to be destroyed. */
  async shards({ box, folder }: Image): Promise<StolenShard[]> {
    const { hsm: own, site } = readBoxConfig(["--config", this.#site.configOf(box)]);
    const store = await openStore(join(folder, "store"));
    const hsm = new HsmProcess({ ...own, pinFile: join(folder, "pin"), softhsmConf: join(folder, "softhsm2.conf") }, { log: silentLog });
    try {
      await hsm.start();
      const shelf = new Shelf(store, site, box);
      return await Promise.all(shelf.all().map((one) => take(hsm, shelf, box, one)));
    } finally {
      await hsm.stop();
      await store.close();
    }
  }
}

async function take(hsm: HsmProcess, shelf: Shelf, box: BoxId, one: Shelved): Promise<StolenShard> {
  const self = generateRecipient();
  const nothing = new Uint8Array();
  const { enc, ct } = await hsm.releaseShard({ ...shelf.toOpen(one), recipient: self.publicKey, info: nothing, hpkeAad: nothing });
  return { box, record: one.record, x: shelf.nameIn(one.record)?.x ?? 0, y: open(self, enc, nothing, nothing, ct) };
}

/** All ways to take at least `least` of them. */
function subsets<T>(all: readonly T[], least: number): T[][] {
  const every = all.reduce<T[][]>((chosen, one) => [...chosen, ...chosen.map((some) => [...some, one])], [[]]);
  return every.filter((some) => some.length >= least);
}

/** How many sets of at least *t* of these shards there are, and how many of them give the key of `record`, by its check value. */
export async function combinations(shards: readonly StolenShard[], { site, key, version, threshold, check }: KeyRecord): Promise<{ readonly tried: number; readonly keys: number }> {
  const sets = subsets(shards, threshold).filter((some) => new Set(some.map(({ x }) => x)).size === some.length);
  let keys = 0;
  for (const some of sets) {
    const master = await interpolateAtZero(some);
    if (keyCheckValue(master, site, key, version) === check) keys += 1;
    wipe(master);
  }
  return { tried: sets.length, keys };
}

import { cpSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { siteRecord, type SiteRecord } from "../../agent/protocol/site-record.ts";
import { hasCode, isNamed, ShardkeepError } from "../../agent/runtime/errors.ts";
import { getJson } from "../../agent/store/json.ts";
import { openStore } from "../../agent/store/level.ts";
import { StoreError, type Store } from "../../agent/store/store.ts";
import { Skipped, type Check } from "./check.ts";

/** In memory where there is such a place: nothing of a store is then written to the card once more. */
const place = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/**
 * Reads a store that nobody has open, by a copy: to open one changes its files, and would leave some that belong to
 * whoever looked. Rejects with STORE_MISSING, STORE_DAMAGED, STORE_UNAVAILABLE.
 */
export async function readStore<T>(folder: string, read: (store: Store) => T): Promise<T> {
  if (!existsSync(folder)) throw new StoreError("STORE_MISSING", `there is no store in ${folder}`, { remedy: "wrong `state`? Never joined? site init and box request make one; else restore the backup" });
  const copy = mkdtempSync(join(place, "shardkeep-look-"));
  try {
    cpSync(folder, copy, { recursive: true });
    const store = await openStore(copy);
    try {
      return read(store);
    } finally {
      await store.close();
    }
  } catch (error) {
    if (isNamed(error)) throw new ShardkeepError(error.code, error.message.replaceAll(copy, folder), { cause: error, remedy: (error.remedy ?? "").replaceAll(copy, folder), retryable: error.retryable });
    throw new StoreError("STORE_UNAVAILABLE", `the store in ${folder} cannot be read`, { cause: error, retryable: true, remedy: "run this as the user that the agent runs as" });
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

/** The site record in a store of this site. Throws NOT_JOINED, STATE_FOREIGN. */
export function recordIn(store: Store, site: string): SiteRecord {
  const record = getJson(store, "site-record", siteRecord);
  if (record === undefined) throw new ShardkeepError("NOT_JOINED", "there is no site record yet", { remedy: "a box: `shardkeep box accept ANSWER`; a coordinator: `shardkeep site init`" });
  if (record.site !== site) throw new ShardkeepError("STATE_FOREIGN", `the store is of site ${record.site}, the configuration of ${site}`, { remedy: "mend `site` or `state` in the configuration" });
  return record;
}

const tries = 3;
const settleMs = 200;

/** The site record, also beside a running agent: between two commits a copy of its store is whole. Rejects as {@link readStore} does. */
export async function readRecord({ state, site }: { readonly state: string; readonly site: string }): Promise<SiteRecord> {
  for (let left = tries; ; left--) {
    try {
      return await readStore(join(state, "store"), (store) => recordIn(store, site));
    } catch (error) {
      if (!hasCode(error, "STORE_DAMAGED") || left === 1) throw error;
      await sleep(settleMs);
    }
  }
}

export function storeCheck(state: string, site: string, running: boolean): Check {
  return {
    name: "store", deadlineMs: 30_000,
    run: () => {
      if (running) throw new Skipped("what runs here has it, and checked it when it started");
      return readStore(join(state, "store"), (store) => {
        const { body } = recordIn(store, site);
        return `commit ${store.head.commit}, ${store.head.records} records; site record version ${body.version}, ${body.sealed ? "sealed" : "UNSEALED"}`;
      });
    },
  };
}

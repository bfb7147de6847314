import { copied, Records } from "../../agent/store/records.ts";
import { StoreError, type Change, type Store } from "../../agent/store/store.ts";

/** What survives a crash of the party that writes to it. */
export interface MemoryDisk {
  records: Records;
}

export function memoryDisk(): MemoryDisk {
  return { records: new Records() };
}

/** Runs around each commit, by its number. `before` throws: nothing is written. `after` throws: written, not acknowledged. */
export interface CommitHooks {
  before?(commit: number, changes: readonly Change[]): void | Promise<void>;
  after?(commit: number, changes: readonly Change[]): void | Promise<void>;
}

/** The store's contract without files. As on disk, a store that failed is of no more use: open another on the same disk. */
export function openMemoryStore(disk: MemoryDisk, hooks: CommitHooks = {}): Store {
  let visible = disk.records;
  let queue: Promise<void> = Promise.resolve();
  let failure: StoreError | undefined;
  const run = async (changes: readonly Change[]) => {
    if (failure !== undefined) throw failure;
    const prepared = visible.prepare(changes);
    const next = Records.of(new Map(visible.entries("")), visible.head.commit);
    next.apply(prepared);
    try {
      await hooks.before?.(prepared.head.commit, changes);
      disk.records = next;
      await hooks.after?.(prepared.head.commit, changes);
    } catch (cause) {
      failure = new StoreError("STORE_FAILED", `commit ${prepared.head.commit} failed`, { cause });
      throw failure;
    }
    visible = next;
  };
  const enqueue = async (task: () => void | Promise<void>) => {
    const done = queue.then(task);
    queue = done.catch(() => undefined);
    await done;
  };
  return {
    get: (key) => visible.get(key),
    entries: (prefix) => visible.entries(prefix),
    get head() { return visible.head; },
    commit: async (changes) => {
      const own = copied(changes);
      await enqueue(() => run(own));
    },
    close: async () => {
      await enqueue(() => { failure ??= new StoreError("STORE_CLOSED", "the store is closed"); });
    },
  };
}

/** The same hooks around any store, for the kill matrix: a party may be killed at either. */
export function hooked(store: Store, hooks: CommitHooks): Store {
  return {
    get: (key) => store.get(key),
    entries: (prefix) => store.entries(prefix),
    get head() { return store.head; },
    commit: async (changes) => {
      const commit = store.head.commit + 1;
      await hooks.before?.(commit, changes);
      await store.commit(changes);
      await hooks.after?.(commit, changes);
    },
    close: () => store.close(),
  };
}

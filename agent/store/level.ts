import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ClassicLevel } from "classic-level";
import { Acknowledged } from "./acknowledged.ts";
import { decodeHead, encodeHead, sameHead } from "./head.ts";
import { copied, Records, type Prepared } from "./records.ts";
import { StoreError, type Change, type Head, type Store } from "./store.ts";
import { damagedTable } from "./tables.ts";

/** The head is the record with the empty key, written in the batch of every commit. */
const headKey = "";
const files = (dir: string) => ({ records: join(dir, "records"), acknowledged: join(dir, "acknowledged") });
/**
 * Uncompressed: records are sealed, and tables.ts must read the index. A ClassicLevel opens itself soon after it is
 * made, by these options: `createIfMissing` is theirs and not open()'s.
 */
const level = (path: string, createIfMissing: boolean) =>
  new ClassicLevel<string, Uint8Array>(path, { keyEncoding: "utf8", valueEncoding: "view", compression: false, createIfMissing, errorIfExists: createIfMissing });

function code(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

function damaged(dir: string, what: string, cause?: unknown): StoreError {
  return new StoreError("STORE_DAMAGED", `the store in ${dir} is not what was last committed: ${what}`, {
    cause, remedy: `keep ${dir} aside, do not mend it; the site re-shards round this box, then join it again`,
  });
}

function unavailable(dir: string, cause: unknown): StoreError {
  return new StoreError("STORE_UNAVAILABLE", `the store in ${dir} cannot be read and written now`, {
    cause, retryable: true, remedy: "check the folder's owner and rights, free space and the disk; then start again",
  });
}

/** Sorts LevelDB's reasons for not opening: held elsewhere, the machine's trouble, or damage. */
function openError(dir: string, error: unknown): StoreError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (code(cause) === "LEVEL_LOCKED") {
    return new StoreError("STORE_LOCKED", `another process has the store in ${dir}`, { cause, remedy: "ask the running agent instead, or stop it first" });
  }
  const reason = cause instanceof Error ? cause.message : "";
  if (/Permission denied|No space left|Too many open files|Read-only file system|Input\/output error|Cannot allocate/.test(reason)) return unavailable(dir, cause);
  return damaged(dir, reason, cause);
}

async function readAll(dir: string, db: ClassicLevel<string, Uint8Array>): Promise<Records> {
  const found = new Map<string, Uint8Array>();
  try {
    for await (const [key, value] of db.iterator()) found.set(key, value);
  } catch (cause) {
    throw damaged(dir, "a table cannot be read", cause);
  }
  const head = decodeHead(found.get(headKey) ?? new Uint8Array(0));
  if (head === null) throw damaged(dir, "it has no head");
  found.delete(headKey);
  const records = Records.of(found, head.commit);
  if (!sameHead(records.head, head)) {
    throw damaged(dir, `commit ${head.commit} had ${head.records} records, ${records.head.records} are there, or their content changed`);
  }
  return records;
}

async function openAcknowledged(dir: string): Promise<Acknowledged> {
  try {
    return await Acknowledged.open(files(dir).acknowledged);
  } catch (cause) {
    if (code(cause) !== "ENOENT") throw unavailable(dir, cause);
    const left = await readdir(dir).catch(() => []);
    if (left.length > 0) throw damaged(dir, "the file 'acknowledged' is missing", cause);
    throw new StoreError("STORE_MISSING", `there is no store in ${dir}`, { cause, remedy: "shardkeep box join or site init makes one; if there was one, this box has lost it" });
  }
}

/** LevelDB gets only tables that are whole. */
async function openRecords(dir: string): Promise<ClassicLevel<string, Uint8Array>> {
  const { records } = files(dir);
  const table = await damagedTable(records).catch((cause: unknown) => {
    throw code(cause) === "ENOENT" ? damaged(dir, "the folder 'records' is missing", cause) : unavailable(dir, cause);
  });
  if (table !== undefined) throw damaged(dir, `a block of records/${table} does not match its checksum`);
  const db = level(records, false);
  await db.open().catch((error: unknown) => { throw openError(dir, error); });
  return db;
}

/** Only what was acknowledged, or the one commit that ended before it could be. */
async function readAcknowledged(dir: string, db: ClassicLevel<string, Uint8Array>, acknowledged: Acknowledged): Promise<Records> {
  const last = await acknowledged.read();
  if (last === null) throw damaged(dir, "the file 'acknowledged' has no whole slot");
  const records = await readAll(dir, db);
  const { head } = records;
  // One commit ahead: the process ended after the batch and before the slot. Nobody was told, and it is whole.
  if (head.commit === last.commit + 1) await acknowledged.write(head);
  else if (!sameHead(head, last)) throw damaged(dir, `it is at commit ${head.commit}, but commit ${last.commit} was acknowledged`);
  return records;
}

/**
 * Opens the store in `dir`; only {@link createStore} makes one.
 * Throws STORE_MISSING, STORE_DAMAGED, STORE_LOCKED, STORE_UNAVAILABLE.
 */
export async function openStore(dir: string): Promise<Store> {
  const acknowledged = await openAcknowledged(dir);
  try {
    const db = await openRecords(dir);
    try {
      return new LevelStore(dir, db, acknowledged, await readAcknowledged(dir, db, acknowledged));
    } catch (error) {
      await db.close();
      throw error;
    }
  } catch (error) {
    await acknowledged.close();
    throw error;
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  await folder.sync().finally(() => folder.close());
}

/**
 * Makes an empty store and opens it; for provisioning alone, so that a store that is gone is never taken for a new
 * one. Made beside `dir` and renamed: killed in the middle, it can be called again.
 * Throws STORE_EXISTS if `dir` has anything in it, and what {@link openStore} throws.
 */
export async function createStore(dir: string): Promise<Store> {
  const unfinished = `${dir}.unfinished`;
  const path = files(unfinished);
  const { head } = new Records();
  try {
    await rm(unfinished, { recursive: true, force: true });
    await mkdir(unfinished, { recursive: true, mode: 0o700 });
    const db = level(path.records, true);
    await db.batch([{ type: "put", key: headKey, value: encodeHead(head) }], { sync: true });
    await db.close();
    await Acknowledged.create(path.acknowledged, head);
    await syncFolder(path.records);
    await syncFolder(unfinished);
    await rename(unfinished, dir);
    await syncFolder(dirname(dir));
  } catch (cause) {
    await rm(unfinished, { recursive: true, force: true }).catch(() => undefined);
    if (await stat(dir).then(() => ["ENOTEMPTY", "EEXIST", "ENOTDIR"].includes(code(cause)), () => false)) {
      throw new StoreError("STORE_EXISTS", `${dir} is already there`, { cause, remedy: "open it; or, to give up what it holds, move it away first" });
    }
    throw unavailable(dir, cause);
  }
  return await openStore(dir);
}

class LevelStore implements Store {
  readonly #dir: string;
  readonly #db: ClassicLevel<string, Uint8Array>;
  readonly #acknowledged: Acknowledged;
  readonly #records: Records;
  /** Settles when the commits so far have ended, well or not. */
  #queue: Promise<void> = Promise.resolve();
  #failure: StoreError | undefined;

  constructor(dir: string, db: ClassicLevel<string, Uint8Array>, acknowledged: Acknowledged, records: Records) {
    this.#dir = dir;
    this.#db = db;
    this.#acknowledged = acknowledged;
    this.#records = records;
  }

  get(key: string): Uint8Array | undefined {
    return this.#records.get(key);
  }

  entries(prefix: string): readonly (readonly [string, Uint8Array])[] {
    return this.#records.entries(prefix);
  }

  get head(): Head {
    return this.#records.head;
  }

  async commit(changes: readonly Change[]): Promise<void> {
    const own = copied(changes);
    const done = this.#queue.then(() => this.#commit(own));
    this.#queue = done.catch(() => undefined);
    await done;
  }

  async #commit(changes: readonly Change[]): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const prepared = this.#records.prepare(changes);
    try {
      await this.#write(prepared);
    } catch (cause) {
      this.#failure = new StoreError("STORE_FAILED", `commit ${prepared.head.commit} to ${this.#dir} failed; the disk may hold it or not`, {
        cause, remedy: "check the disk's health and free space, then restart: opening finds out which",
      });
      throw this.#failure;
    }
    this.#records.apply(prepared);
  }

  async #write({ changes, head }: Prepared): Promise<void> {
    await this.#db.batch([...changes, [headKey, encodeHead(head)] as const].map(([key, value]) =>
      (value === undefined ? { type: "del" as const, key } : { type: "put" as const, key, value })), { sync: true });
    await this.#acknowledged.write(head);
  }

  async close(): Promise<void> {
    const closing = this.#queue.then(async () => {
      this.#failure ??= new StoreError("STORE_CLOSED", `the store in ${this.#dir} is closed`);
      await this.#db.close();
      await this.#acknowledged.close();
    });
    this.#queue = closing.catch(() => undefined);
    await closing;
  }
}

import { z } from "zod";
import type { BatchShard, StoredShard } from "../hsm/client.ts";
import { inventoryHash, type Holding } from "../protocol/heartbeat.ts";
import { atRestAad, keyRecord, keyRecordHash, prepared, sharePrefix, type ShareName } from "../protocol/key-record.ts";
import { base64url, base64urlUpTo, publicKey } from "../protocol/primitives.ts";
import { bytesOf } from "../runtime/encoding.ts";
import { ShardkeepError } from "../runtime/errors.ts";
import { oncePer } from "../runtime/once.ts";
import { getJson } from "../store/json.ts";
import type { Change, Store } from "../store/store.ts";
import { JsonTable } from "../store/table.ts";

/**
 * A shard at rest: AES-256-GCM under the vault key of one seal generation (protocol.md §6). `retired`: a
 * certificate is in hand by which it may go, and the next generation will be without it.
 */
const shelved = z.strictObject({
  state: z.enum(["old", "current", "next", "retired"]),
  record: keyRecord,
  /** Certificate P of a birth; that of a re-shard is kept with its attempt. */
  prepared: z.array(prepared),
  generation: z.int().min(1),
  sealed: z.strictObject({ iv: base64url(12), ct: base64url(32), tag: base64url(16) }),
});
export type Shelved = z.infer<typeof shelved>;

/** The vault key of a generation, HPKE-sealed to the seal key in the HSM. */
const vault = z.strictObject({ generation: z.int().min(1), enc: publicKey, ct: base64urlUpTo(64) });


/** The shards of one box: what it holds, in which state, and how to have its HSM open them. */
export class Shelf {
  readonly #store: Store;
  readonly #site: string;
  readonly #box: string;
  readonly #table: JsonTable<typeof shelved>;
  /** What it takes to open a shard is worked out once: a re-shard asks for it at four of its steps. */
  readonly #sealed = oncePer((one: Shelved): BatchShard => this.#describe(one));
  #told: { readonly of: readonly Shelved[]; readonly holdings: readonly Holding[]; readonly inventory: string } | undefined;

  constructor(store: Store, site: string, box: string) {
    this.#store = store;
    this.#table = new JsonTable(store, "shard/", shelved);
    this.#site = site;
    this.#box = box;
  }

  get(key: string, state: Exclude<Shelved["state"], "retired">): Shelved | undefined {
    return this.#table.get(`${key}/${state}`);
  }

  /** The shard of that record, in whatever state. */
  find(key: string, record: string): Shelved | undefined {
    const isIt = (one: Shelved | undefined): boolean => one !== undefined && one.record.key === key && keyRecordHash(one.record) === record;
    return (["current", "old", "next"] as const).map((state) => this.get(key, state)).find(isIt) ?? this.all().find(isIt);
  }

  /** Everything that is held. */
  all(): readonly Shelved[] {
    return this.#table.all();
  }

  holdings(): readonly Holding[] {
    return this.#tell().holdings;
  }

  /** One hash over all that is held: the heartbeat's inventory. */
  inventory(): string {
    return this.#tell().inventory;
  }

  /** Worked out anew only when something is held that was not, or no more. */
  #tell() {
    const of = this.all();
    if (this.#told?.of !== of) {
      const holdings = of.map(({ state, record }) => ({ key: record.key, epoch: record.epoch, attempt: record.attempt, record: keyRecordHash(record), state: state === "retired" ? "old" as const : state }));
      this.#told = { of, holdings, inventory: inventoryHash(this.#site, this.#box, holdings) };
    }
    return this.#told;
  }

  put(one: Shelved): Change {
    return this.#table.put(this.#place(one), one);
  }

  remove(one: Shelved): Change {
    return this.#table.del(this.#place(one));
  }

  /** Takes a shard from one state to another. */
  move(one: Shelved, state: Shelved["state"]): Change[] {
    const moved = { ...one, state };
    return [...(this.#place(one) === this.#place(moved) ? [] : [this.remove(one)]), this.put(moved)];
  }

  /** Several may be retired at once: an epoch that was replaced while a request on it still ran. */
  #place({ state, record: { key, epoch, attempt } }: Shelved): string {
    return `${key}/${state}${state === "retired" ? `/${epoch}-${attempt}` : ""}`;
  }

  /** *next* becomes *current* in one batch. */
  activation(next: Shelved, certificate: Shelved["prepared"]): Change[] {
    return [this.put({ ...next, state: "current", prepared: certificate }), this.#table.del(`${next.record.key}/next`)];
  }

  vault(): { generation: number; enc: Uint8Array; ct: Uint8Array } {
    const kept = getJson(this.#store, "vault", vault);
    if (kept === undefined) throw new ShardkeepError("VAULT_MISSING", `${this.#box} has no vault`, { remedy: "shardkeep box request --config FILE makes it" });
    return { generation: kept.generation, enc: bytesOf(kept.enc), ct: bytesOf(kept.ct) };
  }

  /** This box's share of a record, by name; undefined if the record does not name this box. */
  nameIn({ key, epoch, attempt, holders }: Shelved["record"]): (ShareName & { readonly digest: string }) | undefined {
    const own = holders.find((holder) => holder.box === this.#box);
    return own === undefined ? undefined : { key, epoch, attempt, box: this.#box, x: own.x, digest: own.digest };
  }

  /** What the HSM needs to open this shard and to know that it is the recorded one. */
  toOpen(one: Shelved): StoredShard {
    return { vault: this.vault(), ...this.#sealed(one) };
  }

  /** The same of several, in order: one vault seals them all. */
  batch(all: readonly Shelved[]): { vault: StoredShard["vault"]; shards: BatchShard[] } {
    return { vault: this.vault(), shards: all.map((one) => this.#sealed(one)) };
  }

  #describe(one: Shelved): BatchShard {
    const name = this.nameIn(one.record);
    if (name === undefined) throw new ShardkeepError("NOT_A_HOLDER", `${this.#box} is no holder in the record of ${one.record.key}`);
    return {
      sealed: { iv: bytesOf(one.sealed.iv), ct: bytesOf(one.sealed.ct), tag: bytesOf(one.sealed.tag) },
      aad: atRestAad(this.#site, name, keyRecordHash(one.record)),
      digestPrefix: sharePrefix(this.#site, name),
      digest: bytesOf(name.digest),
    };
  }
}

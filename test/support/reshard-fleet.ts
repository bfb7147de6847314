import { Approvals } from "../../agent/box/approval.ts";
import { Attempts } from "../../agent/box/attempts.ts";
import { Generations } from "../../agent/box/generations.ts";
import { Holder } from "../../agent/box/holder.ts";
import type { BoxParts } from "../../agent/box/parts.ts";
import { RecordKeeper } from "../../agent/box/record-keeper.ts";
import { Requests } from "../../agent/box/requests.ts";
import { Reshards } from "../../agent/box/reshard.ts";
import { Shelf, type Shelved } from "../../agent/box/shelf.ts";
import type { Hsm } from "../../agent/hsm/client.ts";
import { challengeSecretContext } from "../../agent/protocol/joining.ts";
import { atRestAad, keyRecordHash, sharePrefix, type KeyRecord } from "../../agent/protocol/key-record.ts";
import { NonceBook } from "../../agent/protocol/nonces.ts";
import { generateRecipient, open, seal } from "../../agent/protocol/seal.ts";
import { signStatement } from "../../agent/protocol/statement.ts";
import type { SiteRecord } from "../../agent/protocol/site-record.ts";
import { concat, toBase64url } from "../../agent/runtime/encoding.ts";
import type { Clock } from "../../agent/runtime/clock.ts";
import { silentLog } from "../../agent/runtime/log.ts";
import { systemRandom } from "../../agent/runtime/random.ts";
import { Turns } from "../../agent/runtime/turns.ts";
import { combineShares, splitSecret } from "../../agent/sharding/shamir.ts";
import { putJson } from "../../agent/store/json.ts";
import type { Store } from "../../agent/store/store.ts";
import { body as siteBody, filled } from "../rules/support/site.ts";
import { sha256 } from "./hash.ts";
import { memoryHsm } from "./memory-hsm.ts";
import { memoryDisk, openMemoryStore, type CommitHooks, type MemoryDisk } from "./memory-store.ts";
import type { VirtualClock } from "./virtual-clock.ts";

export const site = "demo";
const noBytes = new Uint8Array();

/** One box as far as it holds shards and re-shards them: the product's logic over store and HSM in memory. */
export class FleetBox {
  readonly id: string;
  readonly hsm: Hsm;
  readonly disk: MemoryDisk = memoryDisk();
  readonly logged: string[] = [];
  store!: Store;
  records!: RecordKeeper;
  nonces!: NonceBook;
  shelf!: Shelf;
  attempts!: Attempts;
  generations!: Generations;
  requests!: Requests;
  holder!: Holder;
  reshards!: Reshards;
  readonly #clock: VirtualClock;
  readonly #windowMs: number;

  constructor(id: string, hsm: Hsm, clock: VirtualClock, windowMs: number) {
    [this.id, this.hsm, this.#clock, this.#windowMs] = [id, hsm, clock, windowMs];
  }

  #life = 0;

  /** A life of the agent: memory begins anew, disk and HSM are as they were, and timers of the life before are dead. */
  live(hooks: CommitHooks = {}): void {
    const life = ++this.#life;
    const clock: Clock = {
      now: () => this.#clock.now(), wall: () => this.#clock.wall(),
      after: (ms, task) => this.#clock.after(ms, () => { if (life === this.#life) task(); }),
    };
    this.store = openMemoryStore(this.disk, hooks);
    this.records = new RecordKeeper(this.store, silentLog);
    this.nonces = new NonceBook(clock, systemRandom);
    this.shelf = new Shelf(this.store, site, this.id);
    const log = { ...silentLog, error: (event: string) => { this.logged.push(event); } };
    const none = undefined as never;
    const parts: BoxParts = {
      site, box: this.id, boot: filled(16, 7), hsm: this.hsm, store: this.store, clock, random: systemRandom, log, records: this.records, nonces: this.nonces,
      bridge: none, exchange: none, display: none,
    };
    this.attempts = new Attempts(this.store, clock, this.#windowMs);
    this.generations = new Generations(parts, this.shelf);
    this.requests = new Requests(clock);
    this.holder = new Holder(parts, this.shelf, this.requests, this.attempts);
    this.reshards = new Reshards(parts, this.shelf, this.attempts, this.generations, new Approvals(parts, this.requests), new Turns(), ({ record }) => this.holder.isUsing(keyRecordHash(record)));
    this.reshards.start();
  }

  /** What is held, as `state epoch` by key. */
  held(key = "payroll"): string[] {
    return this.shelf.all().filter(({ record }) => record.key === key).map(({ state, record }) => `${state} ${record.epoch}`);
  }

  /** The plain share of a shard, as an enclave would be given it. */
  async share(one: Shelved): Promise<Uint8Array> {
    const reader = generateRecipient();
    const { enc, ct } = await this.hsm.releaseShard({ ...this.shelf.toOpen(one), recipient: reader.publicKey, info: noBytes, hpkeAad: noBytes });
    return open(reader, enc, noBytes, noBytes, ct);
  }
}

/** Boxes of one site, and a coordinator's HSM to plan with. */
export class ReshardFleet {
  readonly clock: VirtualClock;
  readonly coordinatorHsm: Hsm;
  readonly record: SiteRecord;
  readonly boxes: ReadonlyMap<string, FleetBox>;

  private constructor(clock: VirtualClock, coordinatorHsm: Hsm, record: SiteRecord, boxes: ReadonlyMap<string, FleetBox>) {
    [this.clock, this.coordinatorHsm, this.record, this.boxes] = [clock, coordinatorHsm, record, boxes];
  }

  static async make(clock: VirtualClock, count: number, windowMs = 0, rules = siteBody.rules): Promise<ReshardFleet> {
    const coordinatorHsm = memoryHsm("coordinator");
    const authority = toBase64url(await coordinatorHsm.createKey("authority"));
    const key = toBase64url(await coordinatorHsm.createKey("identity"));
    const boxes = new Map<string, FleetBox>();
    const ids: SiteRecord["body"]["boxes"] = [];
    for (let n = 1; n <= count; n++) {
      const id = `box-${n}`;
      const hsm = memoryHsm(id);
      ids.push({ id, zone: "here", key: toBase64url(await hsm.createKey("identity")) });
      const recipient = await hsm.createSealKey({ generation: 1 });
      const info = challengeSecretContext(site, id);
      await hsm.acceptChallengeSecret({ box: id, generation: 1, info, ...await coordinatorHsm.createChallengeSecret({ box: id, recipient, info }) });
      boxes.set(id, new FleetBox(id, hsm, clock, windowMs));
    }
    const body = { ...siteBody, authority, coordinator: { id: "coordinator", key }, boxes: ids, rules };
    const record = await signStatement({ sign: (message) => coordinatorHsm.sign("authority", message) }, "site-record", site, "coordinator", body);
    for (const box of boxes.values()) {
      const { enc, ct } = await box.hsm.createVault({ generation: 1 });
      await openMemoryStore(box.disk).commit([putJson("site-record", record), putJson("vault", { generation: 1, enc: toBase64url(enc), ct: toBase64url(ct) })]);
      box.live();
    }
    return new ReshardFleet(clock, coordinatorHsm, record, boxes);
  }

  box(id: string | number): FleetBox {
    const found = this.boxes.get(typeof id === "number" ? `box-${id}` : id);
    if (found === undefined) throw new Error(`no ${id}`);
    return found;
  }

  /** An epoch of a key, 3 of the boxes of these numbers, as if it had been born; its x are the numbers. */
  async addKey(key: string, secret: Uint8Array, numbers: readonly number[], change: Partial<KeyRecord> = {}): Promise<KeyRecord> {
    const { threshold = 3, epoch = 1 } = change;
    const shares = await splitSecret(secret, threshold, numbers);
    const prefixOf = (x: number): Uint8Array => sharePrefix(site, { key, epoch, attempt: 1, box: `box-${x}`, x });
    const record: KeyRecord = {
      site, key, kind: "aes-256", version: 1, epoch, attempt: 1, threshold, size: numbers.length, margin: 1,
      holders: numbers.map((x, i) => ({ box: `box-${x}`, x, digest: toBase64url(sha256(prefixOf(x), shares[i]!)) })),
      check: filled(32, 50), plan: filled(32, 51), previous: null, imported: null, ...change,
    };
    for (const [i, x] of numbers.entries()) {
      const { hsm, shelf, store } = this.box(x);
      const vault = shelf.vault();
      const digestPrefix = prefixOf(x);
      const receiving = await hsm.openReceiving({ id: key });
      await hsm.receivePiece({ id: key, ...seal(receiving, noBytes, noBytes, concat(shares[i]!, new Uint8Array(16))), info: noBytes, aad: noBytes, digestPrefix, digest: sha256(digestPrefix, shares[i]!) });
      const aad = atRestAad(site, { key, epoch, attempt: 1, box: `box-${x}`, x }, keyRecordHash(record));
      const sealed = await hsm.commitPiece({ id: key, vault, aad });
      await hsm.closeReceiving({ id: key });
      await store.commit([
        shelf.put({ state: "current", record, prepared: [], generation: vault.generation, sealed: { iv: toBase64url(sealed.iv), ct: toBase64url(sealed.ct), tag: toBase64url(sealed.tag) } }),
        putJson(`attempt/${key}`, 1),
      ]);
    }
    return record;
  }

  /** Combines the key from the *current* shards of these boxes. */
  async combine(key: string, numbers: readonly number[]): Promise<Uint8Array> {
    return await combineShares(await Promise.all(numbers.map(async (n) => {
      const box = this.box(n);
      const one = box.shelf.get(key, "current")!;
      return { x: box.shelf.nameIn(one.record)!.x, y: await box.share(one) };
    })), numbers.length);
  }
}

import type { KeyRecord } from "../../agent/protocol/key-record.ts";
import { keyRecordHash } from "../../agent/protocol/key-record.ts";
import type { ReshardPlan } from "../../agent/protocol/reshard.ts";
import { beyondLimits, neededForBurn, neededForD } from "./limits.ts";
import type { Attempted, Observed } from "./observed.ts";
import type { Machine } from "./party.ts";
import { allCombineTo, imagesOf, shareIn, type Image } from "./shares.ts";
import { siteName, type Site } from "./site.ts";

interface Held {
  images: readonly Image[];
  /** Every blob of a record that was ever on this disk: what old images of it would hold. */
  readonly ever: Map<string, Map<string, Image>>;
  /** By key: when its present holders came into force here. */
  readonly changedAt: Map<string, number>;
}

/** Who holds what, as a thief of every disk and HSM would see it. */
export class Holdings {
  readonly #site: Site;
  readonly #observed: Observed;
  readonly #held = new Map<string, Held>();
  /** By record: the shares that boxes hold or held of it. */
  readonly #shares = new Map<string, Map<number, Uint8Array>>();

  constructor(site: Site, observed: Observed) {
    this.#site = site;
    this.#observed = observed;
  }

  of(box: string): Held {
    let held = this.#held.get(box);
    if (held === undefined) this.#held.set(box, held = { images: [], ever: new Map(), changedAt: new Map() });
    return held;
  }

  /** A certificate counts what was said, by its own arithmetic. */
  hasD({ plan, activated }: Attempted): boolean {
    const { holders } = plan.body;
    const batches = holders.flatMap(({ box }) => activated.get(box)?.body.batch ?? []);
    return batches.some((batch) => batches.filter((one) => one === batch).length >= neededForD(holders.length));
  }

  hasBurn({ plan, burn }: Attempted): boolean {
    return plan.body.holders.filter(({ box }) => burn.has(box)).length >= neededForBurn(plan.body.holders.length);
  }

  /** Looks at every box before the first step. */
  async begin(): Promise<void> {
    const { world } = this.#site;
    for (const box of world.weather.boxes) this.of(box).images = imagesOf(world.machine(box), siteName);
    for (const box of world.weather.boxes) await this.changed(world.machine(box));
  }

  /** Something became durable at that box, or was destroyed in its HSM. */
  async changed(machine: Machine): Promise<void> {
    const { world } = this.#site;
    const held = this.of(machine.name);
    const before = held.images;
    held.images = imagesOf(machine, siteName);
    for (const image of held.images) {
      const share = await shareIn(image, machine);
      if (share === undefined) world.violate(`the shard of ${nameOf(image)} at ${machine.name} does not open any more`);
      else await this.#keep(machine.name, image, share);
    }
    for (const image of before) this.#judgeEnd(machine.name, image, held.images);
    this.#noteChanges(held, before);
    for (const key of new Set([...before, ...held.images].map(({ shelved }) => shelved.record.key))) this.#judgeWhole(key);
  }

  /** What cannot be served any more is allowed to be so. */
  #judgeEnd(box: string, { record, shelved }: Image, now: readonly Image[]): void {
    if (shelved.state === "retired" || now.some((one) => one.record === record && one.shelved.state !== "retired")) return;
    const attempts = [...this.#observed.attempts.values()];
    const isReplaced = attempts.some((one) => one.plan.body.keys.some(({ previous }) => previous === record) && this.hasD(one));
    const made = this.#observed.of(shelved.record.plan);
    if (!isReplaced && !(made !== undefined && this.hasBurn(made))) this.#site.world.violate(`${box} gave up ${nameOf({ shelved })} without D or BURN certificate`);
  }

  #noteChanges(held: Held, before: readonly Image[]): void {
    for (const { shelved: { state, record } } of held.images) {
      const last = before.find(({ shelved }) => shelved.state === "current" && shelved.record.key === record.key)?.shelved.record;
      const names = ({ holders }: KeyRecord): string => holders.map(({ box }) => box).sort().join();
      if (state === "current" && last !== undefined && record.epoch > last.epoch && names(last) !== names(record)) held.changedAt.set(record.key, this.#site.world.timeline.now);
    }
  }

  async #keep(box: string, image: Image, share: Uint8Array): Promise<void> {
    const { record, shelved } = image;
    const ever = this.of(box).ever;
    if (!ever.has(record)) ever.set(record, new Map());
    ever.get(record)!.set(shelved.sealed.ct + shelved.sealed.tag, image);
    const x = shelved.record.holders.find((one) => one.box === box)!.x;
    if (!this.#shares.has(record)) this.#shares.set(record, new Map());
    const shares = this.#shares.get(record)!;
    if (shares.has(x)) return;
    shares.set(x, share);
    const { threshold, key } = shelved.record;
    const points = [...shares].map(([at, y]) => ({ x: at, y }));
    if (points.length < threshold) return;
    if (!await allCombineTo(points, threshold, this.#site.secrets.get(key)!)) this.#site.world.violate(`shards of ${nameOf(image)} combine to another key`);
  }

  /** At every instant some record of the key can be used: t boxes that will ever come back serve it. */
  #judgeWhole(key: string): void {
    const { world } = this.#site;
    const counts = new Map<string, { served: number; threshold: number }>();
    for (const [box, { images }] of this.#held) {
      if (world.isGone(box) || (world.weather.liar === "box" && box === this.#site.liar)) continue;
      for (const { record, shelved } of images) {
        if (shelved.record.key !== key || (shelved.state !== "current" && shelved.state !== "old")) continue;
        const count = counts.get(record) ?? { served: 0, threshold: shelved.record.threshold };
        counts.set(record, { ...count, served: count.served + 1 });
      }
    }
    if (![...counts.values()].some(({ served, threshold }) => served >= threshold)) world.violate(`no record of ${key} has a threshold of shards left: the key is lost`);
  }

  /** What a JOIN says: that the plan was judged and is within the limits. Null if so. */
  judgeJoin(plan: ReshardPlan, planHash: string, box: string): string | null {
    const { world } = this.#site;
    const { images, changedAt } = this.of(box);
    const currentOf = (key: string): KeyRecord | undefined => images.find(({ shelved }) => shelved.state === "current" && shelved.record.key === key)?.shelved.record;
    const why = beyondLimits(plan, currentOf, (key) => world.timeline.now - (changedAt.get(key) ?? -Infinity) < world.weather.windowMs);
    if (why !== null) return `joined a plan beyond the limits: ${why}`;
    for (const { key, attempt } of plan.body.keys) {
      if (images.some(({ shelved }) => shelved.record.key === key && (shelved.state === "old" || shelved.state === "next"))) return `joined a second attempt on ${key} before the first was decided here`;
      for (const [otherHash, other] of this.#observed.attempts) {
        const earlier = otherHash === planHash || !other.join.has(box) ? undefined : other.plan.body.keys.find((one) => one.key === key);
        if (earlier !== undefined && attempt <= earlier.attempt) return `joined attempt ${attempt} of ${key} after attempt ${earlier.attempt}`;
      }
    }
    return null;
  }

  /** DESTROYED is true: no seal key in that HSM opens any image of its disk that holds such a shard. */
  async judgeDestroyed(attempted: Attempted, planHash: string, box: string): Promise<void> {
    const { world } = this.#site;
    const { of } = attempted.destroyed.get(box)!.body;
    const isAllowed = of === "old" ? this.hasD(attempted) : this.hasBurn(attempted);
    if (!isAllowed) world.violate(`${box} signed DESTROYED without the certificate`);
    const previous = new Set(attempted.plan.body.keys.map((one) => one.previous));
    for (const [record, images] of this.of(box).ever) {
      for (const image of images.values()) {
        const concerned = of === "old" ? previous.has(record) : image.shelved.record.plan === planHash;
        if (concerned && await shareIn(image, world.machine(box)) !== undefined) world.violate(`${box} signed DESTROYED and its HSM still opens ${nameOf(image)}`);
      }
    }
  }

  /** Every record's shares that were seen, for the end of a run. */
  hold(record: KeyRecord): string[] {
    const hash = keyRecordHash(record);
    return record.holders.filter(({ box }) => this.of(box).images.some((one) => one.record === hash && one.shelved.state === "current")).map(({ box }) => box);
  }
}

function nameOf({ shelved: { state, record } }: Pick<Image, "shelved">): string {
  return `${record.key} epoch ${record.epoch} attempt ${record.attempt} (${state})`;
}

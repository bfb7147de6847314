import { z } from "zod";
import { counter } from "../protocol/primitives.ts";
import { toBase64url } from "../runtime/encoding.ts";
import { ShardkeepError } from "../runtime/errors.ts";
import { getJson, putJson } from "../store/json.ts";
import type { BoxParts } from "./parts.ts";
import type { Shelf, Shelved } from "./shelf.ts";

export class GenerationError extends ShardkeepError<"GENERATION_NOT_PROVEN"> {}

/** The generation whose seal key is still to be destroyed: DESTROY_PENDING (protocol.md §6). */
const ending = z.strictObject({ generation: counter });
const endingKey = "ending";

/**
 * Seal generations (protocol.md §6): what is retired is destroyed by a new generation without it. Everything
 * that must live, of every key, is sealed anew in one batch; only when that batch has opened through a
 * re-initialised HSM is the seal key before it destroyed. After a crash {@link sweep} goes on where it was.
 */
export class Generations {
  readonly #parts: Pick<BoxParts, "hsm" | "store" | "log">;
  readonly #shelf: Shelf;

  constructor(parts: Pick<BoxParts, "hsm" | "store" | "log">, shelf: Shelf) {
    this.#parts = parts;
    this.#shelf = shelf;
  }

  /** Whether something is still to be destroyed. */
  get pending(): boolean {
    return this.#ending() !== undefined || this.#retired().length > 0;
  }

  /** Destroys what is retired, unless `isUsed` says that a request on its record still runs. True: nothing is left. */
  async sweep(isUsed: (one: Shelved) => boolean): Promise<boolean> {
    if (this.#ending() !== undefined) await this.#end();
    const retired = this.#retired();
    if (retired.some(isUsed)) return false;
    if (retired.length > 0) {
      await this.#begin(retired);
      await this.#end();
    }
    return true;
  }

  #ending(): z.infer<typeof ending> | undefined {
    return getJson(this.#parts.store, endingKey, ending);
  }

  #retired(): Shelved[] {
    return this.#shelf.all().filter(({ state }) => state === "retired");
  }

  async #begin(retired: readonly Shelved[]): Promise<void> {
    const { hsm, store } = this.#parts;
    const from = this.#shelf.vault();
    const generation = from.generation + 1;
    // A try that was cut off may have made it; nothing durable is sealed to it.
    await hsm.destroySealKey({ generation });
    const key = await hsm.createSealKey({ generation });
    const to = { generation, ...await hsm.createVault({ generation }) };
    const live = this.#shelf.all().filter(({ state }) => state !== "retired");
    const sealed = await hsm.resealShards({ from, to, shards: this.#shelf.batch(live).shards });
    await store.commit([
      ...live.flatMap((one, i) => {
        const anew = sealed[i];
        if (anew === undefined) throw new GenerationError("GENERATION_NOT_PROVEN", "the HSM sealed fewer shards than it was given");
        return [this.#shelf.put({ ...one, generation, sealed: { iv: toBase64url(anew.iv), ct: toBase64url(anew.ct), tag: toBase64url(anew.tag) } })];
      }),
      ...retired.map((one) => this.#shelf.remove(one)),
      putJson("vault", { generation, enc: toBase64url(to.enc), ct: toBase64url(to.ct) }),
      putJson("seal-key", { generation, key: toBase64url(key) }),
      putJson(endingKey, { generation: from.generation }),
    ]);
  }

  async #end(): Promise<void> {
    const { hsm, store, log } = this.#parts;
    const { generation } = this.#shelf.vault();
    await hsm.reopen();
    const all = this.#shelf.all();
    const opens = await hsm.checkShards(this.#shelf.batch(all));
    const unproven = all.find((one, i) => one.generation !== generation || opens[i] !== true);
    if (unproven !== undefined) {
      throw new GenerationError("GENERATION_NOT_PROVEN", `the shard of ${unproven.record.key} does not open in seal generation ${generation}`, { remedy: "the seal key before is kept; check the HSM, then restart the agent" });
    }
    for (const older of (await hsm.sealKeys()).filter((one) => one < generation)) await hsm.destroySealKey({ generation: older });
    await store.commit([{ del: endingKey }]);
    log.info("seal generation", { generation });
  }
}

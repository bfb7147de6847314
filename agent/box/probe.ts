import { probeMessage, type BoxHeartbeat } from "../protocol/heartbeat.ts";
import { toBase64url } from "../runtime/encoding.ts";
import type { BoxParts } from "./parts.ts";
import type { Shelf } from "./shelf.ts";

type Verified = BoxHeartbeat["verified"];

/** What this box can still do, shown by doing it (design §11): a sign of life alone would be a lie. */
export class Probe {
  readonly #parts: BoxParts;
  readonly #shelf: Shelf;
  #turn = 0;

  constructor(parts: BoxParts, shelf: Shelf) {
    this.#parts = parts;
    this.#shelf = shelf;
  }

  /** The HSM's MAC under the challenge secret, base64url of 32 bytes, and the next shard opened. Rejects with the HSM's error. */
  async answer(nonce: string): Promise<{ mac: string; inventory: string; verified: Verified }> {
    const { hsm, site, box } = this.#parts;
    const mac = await hsm.mac({ box, message: probeMessage(site, nonce, box) });
    return { mac: toBase64url(mac), verified: await this.verifyNext(), inventory: this.#shelf.inventory() };
  }

  /** The next shard in turn, opened in the HSM and compared with the record. One that fails keeps its turn until it opens. */
  async verifyNext(): Promise<Verified> {
    const held = this.#shelf.all();
    const turn = this.#turn;
    const next = held[turn % Math.max(1, held.length)];
    if (next === undefined) return null;
    const { key } = next.record;
    try {
      const [ok = false] = await this.#parts.hsm.checkShards(this.#shelf.batch([next]));
      if (ok) this.#turn = turn + 1;
      return { key, ok };
    } catch {
      return { key, ok: false };
    }
  }
}

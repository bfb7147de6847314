import { topic } from "../protocol/topics.ts";
import type { BoxHeartbeat } from "../protocol/heartbeat.ts";
import { isWell } from "../rules/liveness.ts";
import { isNamed } from "../runtime/errors.ts";
import { version } from "../runtime/version.ts";
import type { BoxParts } from "./parts.ts";
import type { Probe } from "./probe.ts";
import type { RecoveryWait } from "../store/recovery-wait.ts";
import type { Shelf } from "./shelf.ts";
import type { Tamper } from "./tamper.ts";

/** Beats without a word of the coordinator after which the panel says so. */
const silentBeats = 5;

/**
 * The box's signed sign of life (design §11): each beat carries a fresh nonce and opens one shard in turn.
 * Published only while connected and never queued: a late heartbeat is a false one.
 */
export class Heartbeat {
  readonly #parts: BoxParts;
  readonly #shelf: Shelf;
  readonly #probe: Probe;
  readonly #tamper: Tamper;
  readonly #recovery: RecoveryWait;
  readonly #everyMs: number;
  readonly #startedAt: number;
  #counter = 0;
  #toldInventory = "";
  #underWay = 0;
  #heardAt = -Infinity;
  #cancel: () => void = () => undefined;

  constructor(parts: BoxParts, shelf: Shelf, probe: Probe, tamper: Tamper, recovery: RecoveryWait, everyMs: number) {
    this.#parts = parts;
    this.#shelf = shelf;
    this.#probe = probe;
    this.#tamper = tamper;
    this.#recovery = recovery;
    this.#everyMs = everyMs;
    this.#startedAt = parts.clock.now();
  }

  start(): void {
    const again = (): void => {
      // Jittered by a tenth: boxes that started together do not stay together.
      const jitter = 0.95 + (this.#parts.random.bytes(1)[0] ?? 0) / 2560;
      this.#cancel = this.#parts.clock.after(this.#everyMs * jitter, again);
      // Beats that take longer than their interval would queue at the HSM before everything else it is asked for.
      if (this.#underWay > 0) return;
      this.beat().catch((error: unknown) => {
        if (!(isNamed(error) && error.code === "NOT_CONNECTED")) this.#parts.log.warn("heartbeat", { error: String(error) });
      });
    };
    again();
  }

  stop(): void {
    this.#cancel();
  }

  /** The coordinator's own sign of life has come. */
  heard(): void {
    this.#heardAt = this.#parts.clock.now();
  }

  /** To a coordinator that has just begun: what was told before, it has not heard. */
  async greet(): Promise<void> {
    this.#toldInventory = "";
    await this.beat();
  }

  async beat(): Promise<void> {
    const { box, exchange, records } = this.#parts;
    this.#underWay += 1;
    try {
      this.#tamper.look();
      const claims = await this.#claims();
      await exchange.tell(topic({ kind: "box", box, direction: "up", what: "heartbeat" }), "heartbeat", claims, { to: records.current.body.coordinator.id });
      if (claims.holdings !== undefined) this.#toldInventory = claims.inventory;
      await this.#tamper.tell();
    } finally {
      this.#underWay -= 1;
    }
  }

  async #claims(): Promise<BoxHeartbeat> {
    const { nonces, records, clock, panel } = this.#parts;
    const hsm = await this.#hsm();
    const sensor = await this.#sensor();
    const verified = await this.#probe.verifyNext();
    const inventory = this.#shelf.inventory();
    const recovery = this.#recovery.state;
    // A recovery that nobody knows of is a theft: who stands at the box sees that something is amiss.
    panel?.is({ well: recovery === undefined && isWell({ hsm, sensor }), coordinator: clock.now() - this.#heardAt < this.#everyMs * silentBeats, locked: this.#tamper.locked });
    return {
      counter: ++this.#counter,
      nonce: nonces.issue(),
      siteRecord: records.ref,
      hsm, sensor, inventory, verified, ...(panel === undefined ? {} : { panel: panel.claims }),
      // The list goes out when it changed, and now and then in case that beat was lost.
      ...(inventory !== this.#toldInventory || this.#counter % 15 === 1 ? { holdings: [...this.#shelf.holdings()] } : {}),
      ...(recovery === undefined ? {} : { recovery }),
      uptimeS: Math.floor((clock.now() - this.#startedAt) / 1000),
      version,
    };
  }

  async #hsm(): Promise<BoxHeartbeat["hsm"]> {
    try {
      await this.#parts.hsm.selfTest();
      const { backing } = await this.#parts.hsm.info();
      return { ok: true, backing };
    } catch (error) {
      return { ok: false, backing: "software", detail: isNamed(error) ? error.code : "INTERNAL" };
    }
  }

  async #sensor(): Promise<BoxHeartbeat["sensor"]> {
    try {
      const { state, emulated } = await this.#parts.bridge.status();
      return { state, emulated };
    } catch {
      return { state: "fault", emulated: false };
    }
  }
}

import { sleep, type Clock } from "../../../agent/runtime/clock.ts";
import type { Random } from "../../../agent/runtime/random.ts";
import { described, toWire } from "../../../agent/runtime/errors.ts";
import { wipe } from "../../../agent/runtime/secrets.ts";
import { isDisturbance, SensorError } from "../errors.ts";
import type { BiometricSensor, EnrolRequest, EnrolStep, Enrolment, Identification, IdentifyRequest, LightState, SensorState, SensorStatus } from "../sensor.ts";
import { countTemplates, parameter, readIndex, readParameters, remove, setParameter } from "./commands.ts";
import { enrol } from "./enrol.ts";
import { templateLimit, type Exchange } from "./exchange.ts";
import { Finger } from "./finger.ts";
import { identify } from "./identify.ts";
import { showLight } from "./light.ts";
import { examine, pair, unpair, type PairingStore, type Standing } from "./pairing.ts";
import type { Parameters } from "./parameters.ts";
import { probe, type Module } from "./probe.ts";
import { readTemplate, writeTemplate } from "./templates.ts";

export interface SensorOptions {
  readonly exchange: Exchange;
  readonly clock: Clock;
  readonly random: Random;
  readonly store: PairingStore;
  /** 1..5; below it nothing is accepted. */
  readonly securityLevel: number;
}

const states: Readonly<Record<string, SensorState>> = {
  SENSOR_UNPAIRED: "unpaired", SENSOR_FOREIGN: "foreign", SENSOR_LOCKED: "locked", SENSOR_PAIRED_ELSEWHERE: "locked", SENSOR_ABSENT: "absent", SENSOR_SILENT: "absent",
};
/** Some modules do not answer right after a parameter was set (Q15). */
const parameterPauseMs = 500;
const indexPageSlots = 256;

/** A module of the EF01 family on one connection. Its calls must not overlap. */
export class FingerprintSensor implements BiometricSensor {
  readonly modality = "fingerprint";
  readonly class = "B";
  readonly #options: SensorOptions;
  readonly #exchange: Exchange;
  #module: Module | undefined;

  constructor(options: SensorOptions) {
    this.#options = options;
    this.#exchange = options.exchange;
  }

  async inspect(): Promise<SensorStatus> {
    const { emulated } = this.#exchange.line;
    try {
      await this.#verify();
      const { parameters, product } = await this.#probed();
      const templates = await this.#exchange.demand(countTemplates());
      return { state: "ready", emulated, model: product?.model, serial: product?.serial, capacity: parameters.capacity, templates };
    } catch (error) {
      const { code } = toWire(error);
      return { state: states[code] ?? "fault", emulated, model: this.#module?.product?.model, serial: this.#module?.product?.serial, detail: described(error) };
    }
  }

  async pair(): Promise<void> {
    const { store, random, clock, securityLevel } = this.#options;
    await pair(this.#exchange, store, random);
    const { securityLevel: level } = await this.#exchange.demand(readParameters());
    if (level >= securityLevel) return;
    await this.#exchange.demand(setParameter(parameter.securityLevel, securityLevel));
    await sleep(clock, parameterPauseMs);
    await this.#verify();
  }

  async unpair(): Promise<void> {
    const { store, random } = this.#options;
    await unpair(this.#exchange, store, random);
  }

  async identify(request: IdentifyRequest, signal: AbortSignal): Promise<Identification> {
    const { exchange, clock } = this.#options;
    return await identify({ exchange, clock, verify: () => this.#verify(), finger: () => this.#finger() }, request, signal);
  }

  async enrol(request: EnrolRequest, progress: (step: EnrolStep) => void, signal: AbortSignal): Promise<Enrolment> {
    const { exchange, clock } = this.#options;
    const { capacity } = await this.#verify();
    const { r503 } = await this.#probed();
    const slot = await this.#freeSlot(capacity, request.slot, request.taken);
    return await enrol({ exchange, clock, finger: await this.#finger(), capacity, captures: r503 ? 4 : 2, slot }, request, progress, signal);
  }

  async exportTemplate(slot: number): Promise<Uint8Array> {
    await this.#verify();
    return await readTemplate(this.#exchange, slot);
  }

  async importTemplate(slot: number, template: Uint8Array): Promise<void> {
    if (template.length === 0 || template.length > templateLimit) throw new SensorError("TEMPLATE_INVALID", `a template of ${template.length} bytes`);
    const { capacity, packetSize } = await this.#verify();
    await this.#freeSlot(capacity, slot);
    try {
      await writeTemplate(this.#exchange, slot, template, packetSize);
    } catch (error) {
      await this.#exchange.send(remove(slot)).catch(() => undefined);
      throw error;
    }
  }

  async remove(slot: number): Promise<void> {
    await this.#verify();
    await this.#exchange.demand(remove(slot));
  }

  async light(state: LightState): Promise<void> {
    if ((await this.#probed()).r503) await showLight(this.#exchange, state);
  }

  /** Design §7: the pairing, then the parameters, whose level must not be below ours. */
  async #verify(): Promise<Parameters> {
    const standing = await this.#standing();
    if (standing.state === "unpaired") throw new SensorError("SENSOR_UNPAIRED", "this sensor is not paired with this box", { remedy: "pair it" });
    if (standing.state === "foreign") throw new SensorError("SENSOR_FOREIGN", `this is not the sensor of this box: ${standing.detail}`, { remedy: "connect the paired sensor" });
    if (standing.state === "locked") throw new SensorError("SENSOR_PAIRED_ELSEWHERE", `this sensor is another box's: ${standing.detail}`, { remedy: "connect this box's own sensor, or a new one; what another box has paired that box alone frees: `shardkeep box reset` there" });
    const parameters = await this.#exchange.demand(readParameters());
    if (parameters.securityLevel < this.#options.securityLevel) {
      throw new SensorError("SENSOR_LEVEL_LOWERED", `the sensor's security level is ${parameters.securityLevel}, below ${this.#options.securityLevel}`, { remedy: "find out who lowered it, then pair the sensor again: that sets the level" });
    }
    return parameters;
  }

  /** A sensor is called foreign only by two examinations that agree: a line error must not convict it. */
  async #standing(): Promise<Standing> {
    const { exchange, store, random } = this.#options;
    const pairing = store.load();
    try {
      const first = await examine(exchange, pairing, random).catch((error: unknown) => {
        if (isDisturbance(error)) return undefined;
        throw error;
      });
      return first?.state === "paired" ? first : await examine(exchange, pairing, random);
    } finally {
      wipe(pairing?.password, pairing?.marker);
    }
  }

  async #probed(): Promise<Module> {
    if (this.#module === undefined) {
      await this.#verify();
      this.#module = await probe(this.#exchange);
    }
    return this.#module;
  }

  async #finger(): Promise<Finger> {
    const { r503 } = await this.#probed();
    return new Finger(this.#exchange, this.#options.clock, r503);
  }

  async #freeSlot(capacity: number, wanted: number | undefined, taken: readonly number[] = []): Promise<number> {
    const used = new Set(taken);
    for (let page = 0; page * indexPageSlots < capacity; page++) {
      for (const slot of await this.#exchange.demand(readIndex(page))) used.add(slot);
    }
    const slot = wanted ?? Array.from({ length: capacity }, (_, index) => index).find((index) => !used.has(index));
    if (slot === undefined) throw new SensorError("SLOT_TAKEN", `all ${capacity} slots are taken`, { remedy: "remove a finger" });
    if (slot >= capacity) throw new SensorError("SLOT_INVALID", `slot ${slot} of ${capacity}`);
    if (used.has(slot)) throw new SensorError("SLOT_TAKEN", `slot ${slot} is taken`, { remedy: "choose another, or remove it first" });
    return slot;
  }
}

import { sleep, type Clock } from "../../../agent/runtime/clock.ts";
import type { Ended } from "../sensor.ts";
import { SensorError } from "../errors.ts";
import { code } from "./codes.ts";
import { extractFeatures, getImage, getImageEx } from "./commands.ts";
import type { Exchange } from "./exchange.ts";

/** How long, and until what, a person is waited for. */
export interface Patience {
  readonly until: number;
  readonly signal: AbortSignal;
}

/** Why waiting is over, if it is. */
export function ended(clock: Clock, { until, signal }: Patience): Ended | undefined {
  if (signal.aborted) return "cancelled";
  return clock.now() >= until ? "timeout" : undefined;
}

type Image = "image" | "poor" | "empty";

/** A capture's code as what it says of the finger; the rest is SENSOR_REFUSED. */
const images: Readonly<Record<number, Image>> = {
  [code.done]: "image", [code.noFinger]: "empty", [code.imageFailed]: "poor", [code.fewPoints]: "poor",
};
const features: Readonly<Record<number, "features" | "poor">> = {
  [code.done]: "features", [code.messy]: "poor", [code.fewPoints]: "poor", [code.noImage]: "poor",
};

const pollMs = 50;
const capturesPerTouch = 3;

/** The finger on the sensor: there, gone, or good enough to read. */
export class Finger {
  readonly #exchange: Exchange;
  readonly #clock: Clock;
  /** GetImageEx tells a poor image from a good one (Q5); older modules do not know it. */
  #extended: boolean;

  constructor(exchange: Exchange, clock: Clock, extended: boolean) {
    this.#exchange = exchange;
    this.#clock = clock;
    this.#extended = extended;
  }

  /** Waits until nothing lies on the sensor: what a finger did before this prompt counts for nothing. */
  async lifted(patience: Patience): Promise<Ended | "lifted"> {
    const image = await this.#poll(patience, (seen) => seen === "empty");
    return image === "timeout" || image === "cancelled" ? image : "lifted";
  }

  /**
   * Waits for a touch and reads its features into `buffer`; tries again while the finger stays. Nothing is
   * captured after the features, for that spoils a following search (Q3).
   */
  async touched(patience: Patience, buffer: number): Promise<Ended | "features" | "poor"> {
    let image = await this.#poll(patience, (seen) => seen !== "empty");
    for (let left = capturesPerTouch; ; left--) {
      if (image === "timeout" || image === "cancelled") return image;
      if (image === "image" && await this.#features(buffer) === "features") return "features";
      if (left <= 1 || image === "empty") return "poor";
      await sleep(this.#clock, pollMs);
      image = ended(this.#clock, patience) ?? await this.#capture();
    }
  }

  async #poll(patience: Patience, wanted: (image: Image) => boolean): Promise<Ended | Image> {
    const before = this.#exchange.disturbances;
    for (;;) {
      const over = ended(this.#clock, patience);
      if (over !== undefined) return over;
      const image = await this.#capture();
      if (this.#exchange.disturbances !== before) {
        throw new SensorError("SENSOR_GARBLED", "the line was disturbed while waiting for a finger", { retryable: true, remedy: "check the cable" });
      }
      if (wanted(image)) return image;
      await sleep(this.#clock, pollMs);
    }
  }

  async #capture(): Promise<Image> {
    const reply = await this.#exchange.send(this.#extended ? getImageEx() : getImage());
    if (!reply.ok && reply.code === code.unsupported && this.#extended) {
      this.#extended = false;
      return await this.#capture();
    }
    return meaning(images, reply.ok ? code.done : reply.code, "capture");
  }

  async #features(buffer: number): Promise<"features" | "poor"> {
    const reply = await this.#exchange.send(extractFeatures(buffer));
    return meaning(features, reply.ok ? code.done : reply.code, "feature extraction");
  }
}

function meaning<T>(table: Readonly<Record<number, T>>, confirmation: number, what: string): T {
  const found = table[confirmation];
  if (found === undefined) throw new SensorError("SENSOR_REFUSED", `the sensor refused ${what}`);
  return found;
}

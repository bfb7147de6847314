import { ShardkeepError } from "../runtime/errors.ts";
import type { BoxParts } from "./parts.ts";

export interface Identified {
  /** The state that is seen there: a prompt and an opened case outweigh `identify`. */
  readonly shows: string;
  /** `ring`: only the sensor's, for there is no panel now. */
  readonly on: "panel" | "ring";
}

/** Shows to somebody who stands before the boxes which one this is (docs/panel.md). */
export class Identify {
  readonly #parts: BoxParts;
  #cancel: () => void = () => undefined;

  constructor(parts: BoxParts) {
    this.#parts = parts;
  }

  /** For `forMs`, anew at every call. Rejects as the sensor does where nothing lights: nobody is sent to look for that. */
  async begin(forMs: number): Promise<Identified> {
    const { box, panel, bridge, clock, log } = this.#parts;
    if (panel?.isReady === true) return { shows: panel.identify(forMs), on: "panel" };
    if (panel !== undefined) {
      const { state } = await bridge.status();
      if (state !== "ready") throw new ShardkeepError("SENSOR_ABSENT", `${box} has nothing that lights: its panel is away, and its sensor is ${state}`, { retryable: true, remedy: "check the cables of both" });
      return { shows: panel.identify(forMs), on: "ring" };
    }
    // What the ring of a box with a panel shows for it.
    await bridge.light({ state: "accepted" });
    this.#cancel();
    this.#cancel = clock.after(forMs, () => {
      bridge.light({ state: "ready" }).catch((error: unknown) => { log.warn("ring light", { error: String(error) }); });
    });
    return { shows: "identify", on: "ring" };
  }
}

import type { Clock } from "../../agent/runtime/clock.ts";
import type { Colour, Show } from "./states.ts";

/** Light and buzzer of a panel, wherever they are. */
export interface Outputs {
  /** null: dark. */
  light(colour: Colour | null): void;
  sound(on: boolean): void;
}

/** Plays one show at a time. A lost message is made good by the next step, or by `refresh`. */
export class Player {
  readonly #outputs: Outputs;
  readonly #clock: Clock;
  #stops: (() => void)[] = [];
  #lit: Colour | null = null;
  #loud = false;

  constructor(outputs: Outputs, clock: Clock) {
    this.#outputs = outputs;
    this.#clock = clock;
  }

  play(show: Show): void {
    this.stop();
    if (show.light.length === 0) this.#light(show.colour);
    else this.#stops.push(this.#steps(show.light, true, (on) => { this.#light(on ? show.colour : null); }));
    if (show.sound.length > 0) this.#stops.push(this.#steps(show.sound, show.again, (on) => { this.#sound(on); }));
  }

  /** Dark and quiet. */
  stop(): void {
    for (const stop of this.#stops.splice(0)) stop();
    this.#light(null);
    this.#sound(false);
  }

  /** Says again what should be seen and heard now: the panel may have forgotten it. */
  refresh(): void {
    this.#outputs.light(this.#lit);
    this.#outputs.sound(this.#loud);
  }

  #light(colour: Colour | null): void {
    this.#lit = colour;
    this.#outputs.light(colour);
  }

  #sound(on: boolean): void {
    this.#loud = on;
    this.#outputs.sound(on);
  }

  #steps(durations: readonly number[], again: boolean, turn: (on: boolean) => void): () => void {
    let cancel: () => void = () => undefined;
    const step = (n: number): void => {
      const ms = durations[n];
      if (ms === undefined) {
        if (again) step(0);
        else turn(false);
        return;
      }
      turn(n % 2 === 0);
      cancel = this.#clock.after(ms, () => { step(n + 1); });
    };
    step(0);
    return () => { cancel(); };
  }
}

import type { Clock } from "../../../agent/runtime/clock.ts";
import type { Finger } from "./command.ts";

const defaultPressMs = 3000;
/** How long a person takes to see that the sensor is done. */
const noticeMs = 100;
const featuresMade = 0x02;
/** Match, Search, RegModel, fast Search: what features are for. */
const featuresUsed: readonly number[] = [0x03, 0x04, 0x05, 0x1b];

/** The person in front of the sensor. Their time is real time: `--speed` makes no finger faster. */
export class Hand {
  readonly #clock: Clock;
  #finger: Finger | null = null;
  #pressing = false;
  #seen = false;
  #cancelLift: () => void = () => undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What lies on the glass. */
  get finger(): Finger | null {
    return this.#finger;
  }

  /** Lays a finger on the glass, for `forMs` or until `lift()`. */
  touch(finger: Finger, forMs?: number): void {
    this.lift();
    this.#finger = finger;
    if (forMs !== undefined) this.#liftAfter(forMs);
  }

  /** As `touch`, but lifts too as soon as the sensor is done with what it saw. */
  press(finger: Finger, forMs = defaultPressMs): void {
    this.touch(finger, forMs);
    this.#pressing = true;
  }

  lift(): void {
    this.#cancelLift();
    this.#finger = null;
    this.#pressing = false;
    this.#seen = false;
  }

  /** The sensor has done a command well. */
  notice(opcode: number): void {
    if (opcode === featuresMade) this.#seen = true;
    else if (this.#pressing && this.#seen && featuresUsed.includes(opcode)) this.#liftAfter(noticeMs);
  }

  #liftAfter(ms: number): void {
    this.#cancelLift();
    this.#cancelLift = this.#clock.after(ms, () => { this.lift(); });
  }
}

import type { PanelBridge, PanelStatus } from "../../firmware-bridge/client.ts";
import type { BoxHeartbeat } from "../protocol/heartbeat.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import { lidOf, type Lid, type Unwatched } from "../rules/tamper.ts";
import type { Display, ShownRequest } from "./display.ts";

/** What a person at the sensor is told for a moment, before the panel goes back to how the box is. */
export type Passing = "waiting-for-finger" | "accepted" | "refused";
type Lasting = "ready" | "re-sharding" | "degraded" | "no-coordinator" | "tamper";

type Shown = Passing | Lasting | "identify";

export interface BoxHealth {
  /** Sensor and HSM are in order; how it is itself the panel knows first. */
  readonly well: boolean;
  /** The coordinator was heard of late. */
  readonly coordinator: boolean;
  /** Its case was opened, whatever the lid is now (protocol.md §8). */
  readonly locked: boolean;
}

const passingMs = 4000;

/**
 * How the box is, the gravest first: an opened case outweighs a coordinator that is away, and what is amiss outweighs what
 * goes on: an attempt may be open for days. Where the panel is away itself, the ring shows it.
 */
export function lastingState({ state, tamper }: Pick<PanelStatus, "state" | "tamper">, { well, coordinator, locked }: BoxHealth, isResharding: boolean): Lasting {
  if (locked || (tamper !== undefined && (tamper.open || tamper.latched))) return "tamper";
  if (!coordinator) return "no-coordinator";
  if (!well || state !== "ready") return "degraded";
  return isResharding ? "re-sharding" : "ready";
}

/** The panel of a box: what it says goes into the heartbeat, how the box is goes onto it. */
export class BoxPanel {
  readonly #bridge: PanelBridge;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #unwatched: Unwatched;
  #onLid: () => void = () => undefined;
  #presses = 0;
  #status: PanelStatus = { state: "absent", emulated: false };
  #health: BoxHealth = { well: true, coordinator: false, locked: false };
  #passing: Passing | undefined;
  #isResharding = false;
  /** Ends `identify`. */
  #identify: (() => void) | undefined;
  #shown: Shown | undefined;
  #cancel: () => void = () => undefined;

  constructor(bridge: PanelBridge, clock: Clock, log: Log, unwatched: Unwatched) {
    this.#bridge = bridge;
    this.#clock = clock;
    this.#log = log;
    this.#unwatched = unwatched;
  }

  /** The bridge's word that something changed. */
  heard(status: PanelStatus): void {
    const { unwatched } = this.#status.tamper ?? {};
    // One that is held down when the panel comes was pressed for nothing that we know of.
    if (status.button === true && this.#status.button === false) this.#presses += 1;
    this.#status = status;
    const now = status.tamper?.unwatched;
    if (now && (now.from !== unwatched?.from || now.to !== unwatched.to)) this.#log.warn("lid unwatched", { from: now.from, to: now.to });
    this.#onLid();
    this.#show();
  }

  /** Called at every word of the panel. */
  onLid(handler: () => void): void {
    this.#onLid = handler;
  }

  /** It answers: there is something to see, and a button to press. */
  get isReady(): boolean {
    return this.#status.state === "ready";
  }

  /** How often the confirm button was pressed in this life. */
  get presses(): number {
    return this.#presses;
  }

  /** Resolves once a panel has said how its lid is, or after `mostMs`. */
  firstWord(mostMs: number): Promise<void> {
    if (this.lid !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#clock.after(mostMs, resolve);
      this.onLid(() => {
        if (this.lid === undefined) return;
        cancel();
        resolve();
      });
    });
  }

  /** Undefined while no panel answers. */
  get lid(): Lid | undefined {
    const { tamper } = this.#status;
    return tamper === undefined ? undefined : lidOf(tamper, this.#unwatched);
  }

  /** Makes the panel forget what it said with `counter`; rejects as the bridge does. */
  async clearTamper(counter: number): Promise<void> {
    this.heard(await this.#bridge.clearTamper({ counter }));
  }

  /** For the heartbeat. */
  get claims(): NonNullable<BoxHeartbeat["panel"]> {
    const { state, emulated, latch, display, tamper } = this.#status;
    return { state, emulated, ...(latch === undefined ? {} : { latch }), ...(display === undefined ? {} : { display }), ...(tamper === undefined ? {} : { tamper }) };
  }

  is(health: BoxHealth): void {
    this.#health = health;
    this.#show();
  }

  /** Whether an attempt is open in which this box takes part. */
  reshards(isResharding: boolean): void {
    this.#isResharding = isResharding;
    this.#show();
  }

  /** Shows for `forMs`, anew at every call, which box this is; gives what is shown, for some states outweigh that. */
  identify(forMs: number): Shown {
    this.#identify?.();
    this.#identify = this.#clock.after(forMs, () => {
      this.#identify = undefined;
      this.#show();
    });
    this.#show();
    return this.#state;
  }

  /** `waiting-for-finger` stays until something else is told; what came of it passes. Undefined: back to how the box is. */
  tell(passing: Passing | undefined): void {
    this.#cancel();
    this.#passing = passing;
    if (passing === "accepted" || passing === "refused") this.#cancel = this.#clock.after(passingMs, () => { this.tell(undefined); });
    this.#show();
  }

  /** The panel's display, and `otherwise` beside it; of which kind it is follows what is connected now. */
  display(otherwise: Display): Display {
    const hasDisplay = (): boolean => this.isReady && this.#status.display === true;
    const print = (lines: readonly string[]): void => {
      if (hasDisplay()) this.#bridge.print({ lines: [...lines] }).catch((error: unknown) => { this.#log.warn("display", { error: String(error) }); });
    };
    return {
      get kind() { return hasDisplay() ? "lcd" as const : otherwise.kind; },
      show: (request) => {
        print(displayLines(request));
        otherwise.show(request);
      },
      clear: () => {
        print([]);
        otherwise.clear();
      },
    };
  }

  /** An opened case is never hidden. */
  get #state(): Shown {
    const lasting = lastingState(this.#status, this.#health, this.#isResharding);
    return this.#passing ?? (this.#identify !== undefined && lasting !== "tamper" ? "identify" : lasting);
  }

  #show(): void {
    const state = this.#state;
    if (state === this.#shown) return;
    this.#shown = state;
    this.#bridge.show({ state }).catch((error: unknown) => {
      this.#shown = undefined;
      this.#log.warn("panel", { error: String(error) });
    });
  }
}

const columns = 16;

/** Two lines of 16 characters; `>` stands where one goes on. The code, which binds all of it, is never cut. */
export function displayLines({ by, operation, resource, code }: ShownRequest): readonly [string, string] {
  const cut = (text: string): string => (text.length > columns ? `${text.slice(0, columns - 1)}>` : text);
  return [cut(`${operation} ${resource}`), cut(`${code} ${by}`)];
}

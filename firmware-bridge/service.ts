import type { Clock } from "../agent/runtime/clock.ts";
import { described, toWire } from "../agent/runtime/errors.ts";
import type { Handlers } from "../agent/runtime/ipc.ts";
import { SensorError } from "./biometrics/errors.ts";
import type { BiometricSensor } from "./biometrics/sensor.ts";
import { enrolPrompt, type EnrolStep, type SensorCalls, type SensorStatus } from "./calls.ts";
import type { Connected } from "./serial/supervisor.ts";

/** A sensor for as long as its line lives. */
export interface SensorConnection extends Connected {
  readonly sensor: BiometricSensor;
  /** Called when the sensor sends what nobody asked for. */
  onUnasked(listener: () => void): void;
}

export interface ServiceOptions {
  readonly clock: Clock;
  readonly onStatus: (status: SensorStatus) => void;
  readonly onEnrol: (step: EnrolStep) => void;
}

/** How often an idle sensor is looked at: a UART has no plug to feel. */
const inspectMs = 30_000;

interface Prompt {
  readonly id: string;
  readonly abort: AbortController;
}

/** What the process offers: the sensor's operations one after another, one prompt at a time, its status always. */
export class SensorService {
  readonly #options: ServiceOptions;
  #connection: SensorConnection | undefined;
  #status: SensorStatus = { state: "absent", emulated: false, detail: "not found yet" };
  #whyAbsent: unknown;
  #prompt: Prompt | undefined;
  /** The end of the queue of operations; it never rejects. The first one waits for the first connection. */
  #tail: Promise<unknown>;
  #tried: () => void = () => undefined;
  #refreshing = false;

  constructor(options: ServiceOptions) {
    this.#options = options;
    this.#tail = new Promise<void>((resolve) => { this.#tried = resolve; });
    this.#watch();
  }

  readonly handlers: Handlers<SensorCalls> = {
    status: () => this.#status,
    pair: () => this.#short(async (sensor) => {
      await sensor.pair();
      await this.#inspect();
      return this.#status;
    }),
    unpair: () => this.#short(async (sensor) => {
      await sensor.unpair();
      await this.#inspect();
      return this.#status;
    }),
    identify: ({ prompt, ...request }) => this.#prompting(prompt, (sensor, signal) => sensor.identify(request, signal)),
    cancel: ({ prompt }) => {
      if (this.#prompt?.id === prompt) this.#prompt.abort.abort();
      return null;
    },
    enrol: (request) => this.#prompting(enrolPrompt, async (sensor, signal) => {
      const enrolled = await sensor.enrol(request, this.#options.onEnrol, signal);
      await this.#inspect();
      return enrolled;
    }),
    exportTemplate: ({ slot }) => this.#short((sensor) => sensor.exportTemplate(slot)),
    importTemplate: ({ slot, template }) => this.#short(async (sensor) => {
      await sensor.importTemplate(slot, template);
      await this.#inspect();
      return null;
    }),
    remove: ({ slot }) => this.#short(async (sensor) => {
      await sensor.remove(slot);
      await this.#inspect();
      return null;
    }),
    light: ({ state }) => this.#short(async (sensor) => {
      await sensor.light(state);
      return null;
    }),
  };

  connected(connection: SensorConnection): void {
    this.#connection = connection;
    connection.onUnasked(() => { this.#refresh(); });
    this.#refresh();
    this.#tried();
  }

  /** `reason`: why there is none, or undefined when the one there was has gone. */
  disconnected(reason: unknown): void {
    this.#connection = undefined;
    this.#whyAbsent = reason;
    const why = this.#absent();
    const { code } = toWire(why);
    this.#set({ state: code === "EMULATED_REFUSED" ? "fault" : "absent", emulated: code === "EMULATED_REFUSED", detail: described(why) });
    this.#tried();
  }

  /** An operation that a person need not be waited for. */
  #short<T>(task: (sensor: BiometricSensor) => Promise<T>): Promise<T> {
    if (this.#prompt !== undefined) throw busy(this.#prompt.id);
    return this.#queued(task);
  }

  async #prompting<T>(id: string, task: (sensor: BiometricSensor, signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#prompt !== undefined) throw busy(this.#prompt.id);
    const prompt: Prompt = { id, abort: new AbortController() };
    this.#prompt = prompt;
    try {
      return await this.#queued((sensor) => task(sensor, prompt.abort.signal));
    } finally {
      this.#prompt = undefined;
    }
  }

  #queued<T>(task: (sensor: BiometricSensor) => Promise<T>): Promise<T> {
    const turn = this.#tail.then(async () => {
      if (this.#connection === undefined) throw this.#absent();
      return await task(this.#connection.sensor);
    });
    // What failed, or worked against expectation, may have changed the sensor's state.
    this.#tail = turn.then(
      () => { if (this.#status.state !== "ready") this.#refresh(); },
      () => { this.#refresh(); },
    );
    return turn;
  }

  /** Looks at the sensor as soon as nothing else is to do with it. */
  #refresh(): void {
    if (this.#refreshing) return;
    this.#refreshing = true;
    this.#tail = this.#tail.then(async () => {
      this.#refreshing = false;
      await this.#inspect();
    });
  }

  async #inspect(): Promise<void> {
    const connection = this.#connection;
    if (connection === undefined) return;
    const status = await connection.sensor.inspect();
    if (connection !== this.#connection) return;
    this.#set(status);
    // A line on which nothing answers any more: find the sensor again, perhaps at another rate.
    if (status.state === "absent") await connection.close();
  }

  #watch(): void {
    this.#options.clock.after(inspectMs, () => {
      if (this.#prompt === undefined) this.#refresh();
      this.#watch();
    });
  }

  #set(status: SensorStatus): void {
    const changed = JSON.stringify(status) !== JSON.stringify(this.#status);
    this.#status = status;
    if (changed) this.#options.onStatus(status);
  }

  #absent(): unknown {
    return this.#whyAbsent ?? new SensorError("SENSOR_ABSENT", "the sensor is not connected", { retryable: true, remedy: "check its cable and supply" });
  }
}

function busy(prompt: string): SensorError {
  return new SensorError("SENSOR_BUSY", `the sensor serves the prompt ${prompt}`, { retryable: true });
}

import { ControlLine } from "./control-line.ts";
import { replySchema, type Reply, type SensorState } from "./control-messages.ts";
import { EmulatorError } from "./errors.ts";
import type { FaultRequest } from "./sensor/faults/fault.ts";

export type { SensorState } from "./control-messages.ts";
export { PanelControl } from "./panel/control.ts";
export type { FaultRequest } from "./sensor/faults/fault.ts";
export interface TouchOptions {
  /** 0..100; below 30 no features can be made, below 10 nothing but smear is seen. */
  readonly quality?: number;
  /** Real milliseconds until it lifts. */
  readonly forMs?: number;
}

/** The hand of a test or a demo on an emulated sensor: whatever a person could do to a real one. */
export class SensorControl {
  readonly #line: ControlLine<Reply>;

  /** @throws CONTROL_UNREACHABLE */
  static async connect(socketPath: string): Promise<SensorControl> {
    return new SensorControl(await ControlLine.connect(socketPath, replySchema));
  }

  private constructor(line: ControlLine<Reply>) {
    this.#line = line;
  }

  async touch(finger: string, options: TouchOptions = {}): Promise<void> {
    await this.ask({ cmd: "touch", finger, ...options });
  }

  /** Touches, and lifts by itself once the sensor has used what it saw, or after `forMs` (3000). */
  async press(finger: string, options: TouchOptions = {}): Promise<void> {
    await this.ask({ cmd: "press", finger, ...options });
  }

  async lift(): Promise<void> {
    await this.ask({ cmd: "lift" });
  }

  async state(): Promise<SensorState> {
    const { state } = await this.ask({ cmd: "state" });
    if (state === undefined) throw new EmulatorError("CONTROL_BAD_REPLY", "the emulated sensor told no state");
    return state;
  }

  async power(to: "off" | "on" | "cycle"): Promise<void> {
    await this.ask({ cmd: "power", to });
  }

  /** Pulls the adapter: the host's port hangs up, the module loses its power. */
  async unplug(): Promise<void> {
    await this.ask({ cmd: "unplug" });
  }

  async replug(): Promise<void> {
    await this.ask({ cmd: "replug" });
  }

  /** Puts a factory-new module of the same model in its place; once more puts the own one back. */
  async swap(): Promise<void> {
    await this.ask({ cmd: "swap" });
  }

  /** Makes something go wrong (hardware/fingerprint.md §8): `fault("bad-checksum", { times: 3 })`. */
  async fault<Name extends FaultRequest["name"]>(name: Name, options?: Omit<Extract<FaultRequest, { name: Name }>, "name">): Promise<void> {
    await this.ask({ cmd: "fault", name, ...options });
  }

  async clearFaults(): Promise<void> {
    await this.ask({ cmd: "clear-faults" });
  }

  close(): void {
    this.#line.close();
  }

  /** @throws CONTROL_CLOSED, CONTROL_BAD_REPLY, and what the sensor answers */
  ask(request: Readonly<Record<string, unknown>>): Promise<Extract<Reply, { ok: true }>> {
    return this.#line.ask(request);
  }
}

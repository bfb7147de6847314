import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { ShardkeepError } from "../../agent/runtime/errors.ts";
import { replySchema, type Reply, type SensorState } from "./control-messages.ts";
import { EmulatorError } from "./errors.ts";
import type { FaultRequest } from "./sensor/faults/fault.ts";

export type { SensorState } from "./control-messages.ts";
export type { FaultRequest } from "./sensor/faults/fault.ts";
export interface TouchOptions {
  /** 0..100; below 30 no features can be made, below 10 nothing but smear is seen. */
  readonly quality?: number;
  /** Real milliseconds until it lifts. */
  readonly forMs?: number;
}
interface Waiting {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: EmulatorError) => void;
}

/** The hand of a test or a demo on an emulated sensor: whatever a person could do to a real one. */
export class SensorControl {
  readonly #socket: Socket;
  /** Answers come in the order of the requests. */
  readonly #waiting: Waiting[] = [];

  /** @throws CONTROL_UNREACHABLE */
  static connect(socketPath: string): Promise<SensorControl> {
    return new Promise((resolve, reject) => {
      const socket = connect(socketPath);
      socket.once("error", (cause) => {
        reject(new EmulatorError("CONTROL_UNREACHABLE", `no emulated sensor answers at ${socketPath}`, { cause, retryable: true, remedy: "start one: main.js sensor --link PATH --control SOCKET" }));
      });
      socket.once("connect", () => { resolve(new SensorControl(socket)); });
    });
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    createInterface({ input: socket }).on("line", (line) => { this.#answered(line); });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      for (const { reject } of this.#waiting.splice(0)) reject(new EmulatorError("CONTROL_CLOSED", "the emulated sensor went away before it answered"));
    });
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
    this.#socket.destroy();
  }

  /** @throws CONTROL_CLOSED, CONTROL_BAD_REPLY, and what the sensor answers */
  async ask(request: Readonly<Record<string, unknown>>): Promise<Extract<Reply, { ok: true }>> {
    const reply = await new Promise<Reply>((resolve, reject) => {
      if (this.#socket.destroyed) { reject(new EmulatorError("CONTROL_CLOSED", "this control connection is closed")); return; }
      this.#waiting.push({ resolve, reject });
      this.#socket.write(`${JSON.stringify(request)}\n`);
    });
    if (!reply.ok) throw new ShardkeepError(reply.error, reply.message);
    return reply;
  }

  #answered(line: string): void {
    const waiting = this.#waiting.shift();
    try {
      waiting?.resolve(replySchema.parse(JSON.parse(line)));
    } catch (cause) {
      waiting?.reject(new EmulatorError("CONTROL_BAD_REPLY", "the control socket answered something else than an emulated sensor would", { cause }));
    }
  }
}

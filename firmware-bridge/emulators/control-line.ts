import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { z } from "zod";
import { ShardkeepError } from "../../agent/runtime/errors.ts";
import { EmulatorError } from "./errors.ts";

/** What every emulated device answers; a device adds its own fields to the first. */
export const refusal = z.strictObject({ ok: z.literal(false), error: z.string(), message: z.string() });
export const anyReply = z.union([z.looseObject({ ok: z.literal(true) }), refusal]);

interface Waiting<Reply> {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: EmulatorError) => void;
}

/** One control connection: a line of JSON each way, answers in the order of the requests. */
export class ControlLine<Reply extends { readonly ok: boolean }> {
  readonly #socket: Socket;
  readonly #replies: z.ZodType<Reply>;
  readonly #waiting: Waiting<Reply>[] = [];

  /** @throws CONTROL_UNREACHABLE */
  static connect<Reply extends { readonly ok: boolean }>(socketPath: string, replies: z.ZodType<Reply>): Promise<ControlLine<Reply>> {
    return new Promise((resolve, reject) => {
      const socket = connect(socketPath);
      socket.once("error", (cause) => {
        reject(new EmulatorError("CONTROL_UNREACHABLE", `no emulated device answers at ${socketPath}`, { cause, retryable: true, remedy: "start one: main.js sensor|panel --link PATH --control SOCKET" }));
      });
      socket.once("connect", () => { resolve(new ControlLine(socket, replies)); });
    });
  }

  private constructor(socket: Socket, replies: z.ZodType<Reply>) {
    this.#socket = socket;
    this.#replies = replies;
    createInterface({ input: socket }).on("line", (line) => { this.#answered(line); });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      for (const { reject } of this.#waiting.splice(0)) reject(new EmulatorError("CONTROL_CLOSED", "the emulated device went away before it answered"));
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  /** @throws CONTROL_CLOSED, CONTROL_BAD_REPLY, and what the device answers */
  async ask(request: Readonly<Record<string, unknown>>): Promise<Extract<Reply, { ok: true }>> {
    const reply = await new Promise<Reply>((resolve, reject) => {
      if (this.#socket.destroyed) { reject(new EmulatorError("CONTROL_CLOSED", "this control connection is closed")); return; }
      this.#waiting.push({ resolve, reject });
      this.#socket.write(`${JSON.stringify(request)}\n`);
    });
    const refused = refusal.safeParse(reply);
    if (refused.success) throw new ShardkeepError(refused.data.error, refused.data.message);
    return reply as Extract<Reply, { ok: true }>;
  }

  #answered(line: string): void {
    const waiting = this.#waiting.shift();
    try {
      waiting?.resolve(this.#replies.parse(JSON.parse(line)));
    } catch (cause) {
      waiting?.reject(new EmulatorError("CONTROL_BAD_REPLY", "the control socket answered something else than an emulated device would", { cause }));
    }
  }
}

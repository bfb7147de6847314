import { chmodSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { z } from "zod";
import { toWire } from "../../agent/runtime/errors.ts";
import { EmulatorError } from "./errors.ts";

/** Serves the control socket, for its owner alone; resolves when it listens. */
export function serveControl<Request>(path: string, requests: z.ZodType<Request>, handle: (request: Request) => object): Promise<void> {
  rmSync(path, { force: true });
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    createInterface({ input: socket }).on("line", (line) => { socket.write(`${JSON.stringify(answer(line, requests, handle))}\n`); });
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      chmodSync(path, 0o600);
      resolve();
    });
  });
}

function answer<Request>(line: string, requests: z.ZodType<Request>, handle: (request: Request) => object): object {
  try {
    return { ok: true, ...handle(parse(line, requests)) };
  } catch (error) {
    const { code, message } = toWire(error);
    return { ok: false, error: code, message };
  }
}

function parse<Request>(line: string, requests: z.ZodType<Request>): Request {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new EmulatorError("CONTROL_BAD_REQUEST", "not a line of JSON", { cause });
  }
  const request = requests.safeParse(value);
  if (!request.success) throw new EmulatorError("CONTROL_BAD_REQUEST", z.prettifyError(request.error));
  return request.data;
}

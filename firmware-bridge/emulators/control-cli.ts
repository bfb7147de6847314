import { parseArgs } from "node:util";
import { z } from "zod";
import { requestSchema, type Request } from "./control-messages.ts";
import { SensorControl } from "./control.ts";
import { EmulatorError } from "./errors.ts";

/** The word after the socket, by command. */
const subjects: Readonly<Record<string, string>> = { touch: "finger", press: "finger", power: "to" };

/** One request from the command line: prints the answer as one line of JSON. @throws USAGE and what the sensor answers */
export async function runControl(command: string | undefined, args: readonly string[], usage: string): Promise<void> {
  const { values, positionals: [socket, subject] } = parseArgs({
    args: [...args], allowPositionals: true, options: { quality: { type: "string" }, for: { type: "string" } },
  });
  if (command === undefined || socket === undefined) throw new EmulatorError("USAGE", "which sensor?", { remedy: usage });
  const request = toRequest({
    cmd: command,
    ...(subject === undefined ? {} : { [subjects[command] ?? "surplus"]: subject }),
    ...(values.quality === undefined ? {} : { quality: Number(values.quality) }),
    ...(values.for === undefined ? {} : { forMs: Number(values.for) }),
  }, usage);
  const control = await SensorControl.connect(socket);
  try {
    process.stdout.write(`${JSON.stringify(await control.ask(request))}\n`);
  } finally {
    control.close();
  }
}

function toRequest(raw: unknown, usage: string): Request {
  const request = requestSchema.safeParse(raw);
  if (!request.success) throw new EmulatorError("USAGE", z.prettifyError(request.error), { remedy: usage });
  return request.data;
}

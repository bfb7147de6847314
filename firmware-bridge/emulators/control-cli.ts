import { parseArgs } from "node:util";
import { z } from "zod";
import { anyReply, ControlLine } from "./control-line.ts";
import { requestSchema } from "./control-messages.ts";
import { EmulatorError } from "./errors.ts";
import { panelRequest } from "./panel/messages.ts";

/** The word after the socket, by command. */
const subjects: Readonly<Record<string, string>> = { touch: "finger", press: "finger", power: "to", fault: "name", lid: "to", button: "to", cell: "to", noise: "to", lose: "to" };
/** What only a panel has. */
const ofPanel: readonly string[] = ["lid", "button", "cell", "cut", "reset", "noise", "lose"];

/** One request from the command line: prints the answer as one line of JSON. @throws USAGE and what the device answers */
export async function runControl(command: string | undefined, args: readonly string[], usage: string): Promise<void> {
  const { values, positionals: [socket, subject, ...settings] } = parseArgs({
    args: [...args], allowPositionals: true, options: { quality: { type: "string" }, for: { type: "string" } },
  });
  if (command === undefined || socket === undefined) throw new EmulatorError("USAGE", "which device?", { remedy: usage });
  const request = {
    cmd: command,
    ...(subject === undefined ? {} : { [subjects[command] ?? "surplus"]: subject }),
    ...Object.fromEntries(settings.map(setting)),
    ...(values.quality === undefined ? {} : { quality: Number(values.quality) }),
    ...(values.for === undefined ? {} : { forMs: Number(values.for) }),
  };
  const checked = (ofPanel.includes(command) ? panelRequest : requestSchema).safeParse(request);
  if (!checked.success) throw new EmulatorError("USAGE", z.prettifyError(checked.error), { remedy: usage });
  const control = await ControlLine.connect(socket, anyReply);
  try {
    process.stdout.write(`${JSON.stringify(await control.ask(request))}\n`);
  } finally {
    control.close();
  }
}

/** `KEY=VALUE`: a number where it is one (0x1b too), a list where it has commas. */
function setting(text: string): [string, unknown] {
  const [key = "", value = ""] = text.split("=");
  if (value.includes(",")) return [key, value.split(",").map(Number)];
  return [key, value === "" || Number.isNaN(Number(value)) ? value : Number(value)];
}

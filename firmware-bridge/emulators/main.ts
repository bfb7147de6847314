import { rmSync } from "node:fs";
import { parseArgs } from "node:util";
import { isNamed } from "../../agent/runtime/errors.ts";
import { exitWithParent, tellParent } from "../../agent/runtime/ipc.ts";
import { Bench } from "./bench.ts";
import { runControl } from "./control-cli.ts";
import { requestSchema } from "./control-messages.ts";
import { serveControl } from "./control-server.ts";
import { EmulatorError } from "./errors.ts";
import { PanelBench } from "./panel/bench.ts";
import { panelRequest } from "./panel/messages.ts";
import { profileNamed } from "./sensor/profiles.ts";

const usage = `usage: main.js sensor --link PATH --control SOCKET [--state FILE] [--profile r503] [--speed N]
       main.js panel --link PATH --control SOCKET [--state FILE] [--hex FILE] [--no-display] [--cell]
       main.js touch|press SOCKET FINGER [--quality 0..100] [--for MS]
       main.js lift|state|unplug|replug|swap|clear-faults SOCKET
       main.js power SOCKET off|on|cycle
       main.js fault SOCKET NAME [KEY=VALUE ...]
       main.js lid SOCKET open|closed; button SOCKET pressed|released; cell SOCKET on|off; cut|reset SOCKET
       main.js noise|lose SOCKET host|panel bytes=1,2,3|count=N`;

async function sensor(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      link: { type: "string" }, control: { type: "string" }, state: { type: "string" },
      profile: { type: "string", default: "r503" }, speed: { type: "string", default: "1" },
    },
  });
  const { link, control, state } = values;
  const speed = Number(values.speed);
  if (link === undefined || control === undefined || !(speed >= 1 && speed <= 1000)) throw new EmulatorError("USAGE", "a sensor needs --link and --control, and a --speed of 1 to 1000", { remedy: usage });
  process.stderr.write("EMULATED fingerprint sensor: no real finger is measured\n");
  const bench = new Bench({ profile: profileNamed(values.profile), link, speed, ...(state === undefined ? {} : { state }) });
  await serve(control, bench, () => serveControl(control, requestSchema, (request) => bench.handle(request)));
}

async function panel(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      link: { type: "string" }, control: { type: "string" }, state: { type: "string" }, hex: { type: "string" },
      "no-display": { type: "boolean", default: false }, cell: { type: "boolean", default: false },
    },
  });
  const { link, control, state, hex, cell } = values;
  if (link === undefined || control === undefined) throw new EmulatorError("USAGE", "a panel needs --link and --control", { remedy: usage });
  process.stderr.write("EMULATED panel: no real lid is watched\n");
  const bench = new PanelBench({ link, cell, display: !values["no-display"], ...(hex === undefined ? {} : { hex }), ...(state === undefined ? {} : { state }) });
  await serve(control, bench, () => serveControl(control, panelRequest, (request) => bench.handle(request)));
}

/** Lives until it is told to end, by a signal or by its parent's end; nothing is left then but what the device keeps. */
async function serve(control: string, bench: { readonly pty: string | null; unplug(): void }, listen: () => Promise<void>): Promise<void> {
  if (process.connected) exitWithParent();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => process.exit(0));
  process.on("exit", () => {
    bench.unplug();
    rmSync(control, { force: true });
  });
  await listen();
  process.stdout.write(`${JSON.stringify({ ready: true, pty: bench.pty })}\n`);
  tellParent("ready");
}

try {
  const [command, ...args] = process.argv.slice(2);
  if (command === "sensor") await sensor(args);
  else if (command === "panel") await panel(args);
  else await runControl(command, args, usage);
} catch (error) {
  process.stderr.write(`${isNamed(error) ? error.toString() : error instanceof Error ? error.message : String(error)}\n`);
  const misused = error instanceof Error && "code" in error && (error.code === "USAGE" || String(error.code).startsWith("ERR_PARSE_ARGS"));
  process.exit(misused ? 64 : 1);
}
